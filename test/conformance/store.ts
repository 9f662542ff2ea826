import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Change, Document, Fence, Page, Store } from '#contracts/store.ts';
import { BrokenDocument, collection, FencedOff, WriteConflict } from '#contracts/store.ts';

/** What a `Store` promises, except durability, which each durable adapter tests for itself. */
export function storeConforms(name: string, make: () => Promise<Store>): void {
  const aborts: AbortController[] = [];
  afterEach(() => {
    for (const abort of aborts.splice(0)) abort.abort();
  });
  const signal = (): AbortSignal => {
    const abort = new AbortController();
    aborts.push(abort);
    return abort.signal;
  };
  describe(`${name} as a store`, () => {
    documents(make);
    expectations(make);
    fences(make);
    deltas(make);
    pages(make);
    watching(make, signal);
    collections(make);
  });
}

type Make = () => Promise<Store>;

const write = (store: Store, id: string, value: unknown = {}): Promise<number> =>
  store.put('pods', { id, value }, 'anything');

const fence = (token: number, lease = 'leader'): Fence => ({ lease, token });

async function next(changes: AsyncIterator<Change>): Promise<string> {
  const { value, done } = await changes.next();
  if (done) throw new Error('ended');
  return value.id;
}

function documents(make: Make): void {
  test('what was put is read again, at the version that was returned', async () => {
    const store = await make();
    const value = { text: 'a\0b \u{1f600} \ud800', list: [1, 2.5, null, true], deep: { a: {} } };
    const version = await write(store, 'a', value);
    expect(await store.get('pods', 'a')).toEqual({ id: 'a', value, version });
  });

  test('what is not there is undefined, and a collection nobody wrote to is empty', async () => {
    const store = await make();
    expect(await store.get('pods', 'a')).toBeUndefined();
    expect(await store.list('pods')).toEqual([]);
  });

  test.each([0, '', false, null, 'text', []])('%j is a document too', async (value) => {
    const store = await make();
    await write(store, 'a', value);
    expect((await store.get('pods', 'a'))?.value).toEqual(value);
  });

  test('what JSON cannot say is refused and leaves what was there', async () => {
    const store = await make();
    await write(store, 'a', 'before');
    await expect(store.put('pods', { id: 'a', value: undefined }, 'anything')).rejects.toThrow();
    expect((await store.get('pods', 'a'))?.value).toBe('before');
  });

  test('nobody shares an object with the store', async () => {
    const store = await make();
    const value = { hosts: ['a'] };
    await write(store, 'a', value);
    value.hosts.push('b');
    const read = (await store.get('pods', 'a'))?.value as typeof value;
    expect(read).toEqual({ hosts: ['a'] });
    read.hosts.push('c');
    expect((await store.get('pods', 'a'))?.value).toEqual({ hosts: ['a'] });
  });

  test('versions grow with every write, over all collections', async () => {
    const store = await make();
    const versions = [
      await write(store, 'a'),
      await store.put('users', { id: 'a', value: 1 }, 'anything'),
      await write(store, 'a'),
      await write(store, 'b'),
    ];
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
  });

  test('a version is not given again after a removal', async () => {
    const store = await make();
    const first = await write(store, 'a');
    await store.remove('pods', 'a', 'anything');
    expect(await write(store, 'a')).toBeGreaterThan(first);
  });

  test('the same id in two collections is two documents', async () => {
    const store = await make();
    await write(store, 'a', 'pod');
    await store.put('users', { id: 'a', value: 'user' }, 'absent');
    await store.remove('pods', 'a', 'anything');
    expect((await store.get('users', 'a'))?.value).toBe('user');
  });

  test('a list holds all documents by id in code-unit order', async () => {
    const store = await make();
    const ids = ['b', 'a', 'Z', 'a/b', 'a-b', '\u{1f600}', '\uffee', 'ä', 'a\0b', ''];
    for (const id of ids) await write(store, id, id);
    const listed = await store.list('pods');
    // The default order of JavaScript is that of code units.
    const sorted = ids.toSorted();
    expect(listed.map(({ id }) => id)).toEqual(sorted);
    expect(listed.map(({ value }) => value)).toEqual(sorted);
  });

  test('ids are those of the documents that are there', async () => {
    const store = await make();
    expect(await store.ids('pods')).toEqual([]);
    for (const id of ['b', 'a', 'gone']) await write(store, id, id);
    await store.put('users', { id: 'user', value: 1 }, 'anything');
    await store.remove('pods', 'gone', 'anything');
    expect((await store.ids('pods')).toSorted()).toEqual(['a', 'b']);
  });

  test('a removed document is gone; removing what is not there is fine with anything', async () => {
    const store = await make();
    await write(store, 'a');
    await store.remove('pods', 'a', 'anything');
    expect(await store.get('pods', 'a')).toBeUndefined();
    await store.remove('pods', 'a', 'anything');
  });
}

function expectations(make: Make): void {
  test('with the version read a write happens', async () => {
    const store = await make();
    const version = await write(store, 'a', 1);
    await store.put('pods', { id: 'a', value: 2 }, { version });
    expect((await store.get('pods', 'a'))?.value).toBe(2);
  });

  test.each([
    ['absent', 'absent'],
    ['an older version', { version: 0 }],
  ] as const)('expecting %s, neither write nor removal touches a document', async (_, expected) => {
    const store = await make();
    await write(store, 'a', 1);
    await expect(store.put('pods', { id: 'a', value: 2 }, expected)).rejects.toThrow(WriteConflict);
    await expect(store.remove('pods', 'a', expected)).rejects.toThrow(WriteConflict);
    expect((await store.get('pods', 'a'))?.value).toBe(1);
  });

  test('expecting a version, nothing is written where nothing is', async () => {
    const store = await make();
    const version = await write(store, 'a');
    await store.remove('pods', 'a', { version });
    await expect(store.put('pods', { id: 'a', value: 2 }, { version })).rejects.toThrow(
      WriteConflict,
    );
    await expect(store.remove('pods', 'a', { version })).rejects.toThrow(WriteConflict);
    expect(await store.get('pods', 'a')).toBeUndefined();
  });

  test('of many who create one document at once exactly one does', async () => {
    const store = await make();
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, (_, value) => store.put('pods', { id: 'a', value }, 'absent')),
    );
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('of many who change what they read, none undoes another', async () => {
    const store = await make();
    await write(store, 'a', 0);
    const increment = async (): Promise<void> => {
      for (;;) {
        const read = await store.get('pods', 'a');
        if (!read) throw new Error('gone');
        try {
          const value = Number(read.value) + 1;
          await store.put('pods', { id: 'a', value }, { version: read.version });
          return;
        } catch (error) {
          if (!(error instanceof WriteConflict)) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: 20 }, increment));
    expect((await store.get('pods', 'a'))?.value).toBe(20);
  });
}

function fences(make: Make): void {
  test('an older token is refused once a newer one has written, and changes nothing', async () => {
    const store = await make();
    await store.put('pods', { id: 'a', value: 'old' }, 'anything', fence(1));
    await store.put('pods', { id: 'b', value: 'new' }, 'anything', fence(2));
    await expect(
      store.put('pods', { id: 'a', value: 'late' }, 'anything', fence(1)),
    ).rejects.toThrow(FencedOff);
    await expect(store.remove('pods', 'a', 'anything', fence(1))).rejects.toThrow(FencedOff);
    expect((await store.get('pods', 'a'))?.value).toBe('old');
  });

  test('the token that is the newest goes on writing', async () => {
    const store = await make();
    for (const value of [1, 2]) {
      await store.put('pods', { id: 'a', value }, 'anything', fence(7));
    }
    expect((await store.get('pods', 'a'))?.value).toBe(2);
  });

  test('a removal under a newer token fences as a write does', async () => {
    const store = await make();
    await write(store, 'a');
    await store.remove('pods', 'a', 'anything', fence(2));
    await expect(store.put('pods', { id: 'a', value: 1 }, 'anything', fence(1))).rejects.toThrow(
      FencedOff,
    );
  });

  test('leases of other names, and writes without a fence, are not concerned', async () => {
    const store = await make();
    await store.put('pods', { id: 'a', value: 1 }, 'anything', fence(9));
    await store.put('pods', { id: 'a', value: 2 }, 'anything', fence(1, 'another'));
    await write(store, 'a', 3);
    expect((await store.get('pods', 'a'))?.value).toBe(3);
  });

  test('one that is fenced off hears that, not that there is a conflict', async () => {
    const store = await make();
    await store.put('pods', { id: 'a', value: 1 }, 'anything', fence(2));
    await expect(store.put('pods', { id: 'a', value: 2 }, 'absent', fence(1))).rejects.toThrow(
      FencedOff,
    );
  });
}

const idsOf = (listed: readonly Document[]) => listed.map(({ id }) => id).toSorted();

function deltas(make: Make): void {
  test('since ever it is everything, and the next one goes on from there', async () => {
    const store = await make();
    expect(await store.changesSince('pods', 0)).toMatchObject({ written: [], ids: undefined });
    const value = { deep: ['a'] };
    const version = await write(store, 'a', value);
    await write(store, 'b');
    const all = await store.changesSince('pods', 0);
    expect(idsOf(all.written)).toEqual(['a', 'b']);
    expect(all.written).toContainEqual({ id: 'a', value, version });
    expect(await store.changesSince('pods', all.version)).toEqual({ ...all, written: [] });
  });

  test('what was written since comes once, with its last value', async () => {
    const store = await make();
    for (const id of ['a', 'b', 'c']) await write(store, id, 'old');
    const { version } = await store.changesSince('pods', 0);
    await write(store, 'b', 'new');
    const last = await write(store, 'b', 'newest');
    await store.put('users', { id: 'u', value: 1 }, 'anything');
    const delta = await store.changesSince('pods', version);
    expect(delta.written).toEqual([{ id: 'b', value: 'newest', version: last }]);
    expect(delta.ids).toBeUndefined();
    expect((await store.changesSince('pods', delta.version)).written).toEqual([]);
  });

  test('after a removal it says which are there, until it was told', async () => {
    const store = await make();
    for (const id of ['a', 'b', 'c']) await write(store, id);
    const { version } = await store.changesSince('pods', 0);
    await store.remove('pods', 'nothing', 'anything');
    await store.remove('users', 'a', 'anything');
    expect((await store.changesSince('pods', version)).ids).toBeUndefined();
    await store.remove('pods', 'a', 'anything');
    await store.remove('pods', 'c', 'anything');
    await write(store, 'c', 'again');
    const delta = await store.changesSince('pods', version);
    expect(idsOf(delta.written)).toEqual(['c']);
    expect(delta.ids?.toSorted()).toEqual(['b', 'c']);
    const after = await store.changesSince('pods', delta.version);
    expect([after.written, after.ids]).toEqual([[], undefined]);
  });

  test('a removal is told in a collection that is empty now', async () => {
    const store = await make();
    await write(store, 'a');
    const { version } = await store.changesSince('pods', 0);
    await store.remove('pods', 'a', 'anything');
    expect((await store.changesSince('pods', version)).ids).toEqual([]);
  });

  test('following deltas while others write and remove, nothing is missed', async () => {
    const store = await make();
    const known = new Map<string, number>();
    let since = 0;
    const follow = async (): Promise<void> => {
      const { written, ids, version } = await store.changesSince('pods', since);
      for (const document of written) known.set(document.id, document.version);
      for (const id of known.keys()) if (ids && !ids.includes(id)) known.delete(id);
      since = version;
    };
    const writers = Array.from({ length: 40 }, async (_, turn) => {
      const id = `id-${turn % 7}`;
      if (turn % 3 === 0) await store.remove('pods', id, 'anything');
      else await write(store, id);
    });
    for (let turn = 0; turn < 5; turn += 1) await follow();
    await Promise.all(writers);
    await follow();
    const listed = await store.list('pods');
    expect(known).toEqual(new Map(listed.map(({ id, version }) => [id, version])));
  });
}

const pagesOf = (store: Store, since: number): Promise<Page[]> =>
  Array.fromAsync(store.pagesSince('pods', since));

const byId = (some: readonly Document[]): Map<string, Document> =>
  new Map(some.map((document) => [document.id, document]));

function pages(make: Make): void {
  test('in pages it is the same, and one page even when there is nothing', async () => {
    const store = await make();
    await store.put('users', { id: 'u', value: 1 }, 'anything');
    const [nothing, ...more] = await pagesOf(store, 0);
    expect([nothing?.written, more]).toEqual([[], []]);
    await Promise.all(Array.from({ length: 260 }, (_, n) => write(store, `id-${n}`, n)));
    const { written, version } = await store.changesSince('pods', 0);
    const all = await pagesOf(store, 0);
    expect(all.length).toBeGreaterThan(1);
    expect(all.every((page) => page.written.length <= 250)).toBe(true);
    expect(byId(all.flatMap((page) => page.written))).toEqual(byId(written));
    expect(all.at(-1)?.version).toBe(version);
    expect((await pagesOf(store, version)).map((page) => page.written)).toEqual([[]]);
    await write(store, 'id-7', 'new');
    const [later] = await pagesOf(store, version);
    expect(later?.written).toMatchObject([{ id: 'id-7', value: 'new' }]);
  });

  test('what is written between two pages is there, or in what was written since', async () => {
    const store = await make();
    await Promise.all(Array.from({ length: 260 }, (_, n) => write(store, `id-${n}`, 'old')));
    const known = new Map<string, unknown>();
    let version = 0;
    for await (const page of store.pagesSince('pods', 0)) {
      if (version === 0) for (const id of ['id-0', 'id-259', 'more']) await write(store, id, 'new');
      for (const { id, value } of page.written) known.set(id, value);
      version = page.version;
    }
    const { written } = await store.changesSince('pods', version);
    for (const { id, value } of written) known.set(id, value);
    expect(known.size).toBe(261);
    const changed = known.entries().filter(([, value]) => value === 'new');
    expect(
      changed
        .map(([id]) => id)
        .toArray()
        .toSorted(),
    ).toEqual(['id-0', 'id-259', 'more']);
  });
}

function watching(make: Make, signal: () => AbortSignal): void {
  test('a change after the call is reported, even before the first look', async () => {
    const store = await make();
    await write(store, 'before');
    const changes = store.watch('pods', signal())[Symbol.asyncIterator]();
    await write(store, 'a');
    expect(await next(changes)).toBe('a');
  });

  test('a change while waiting is reported with a version, readable by then', async () => {
    const store = await make();
    const changes = store.watch('pods', signal())[Symbol.asyncIterator]();
    const coming = changes.next();
    const version = await write(store, 'a', 'new');
    expect((await coming).value).toEqual({ id: 'a', version });
    expect((await store.get('pods', 'a'))?.value).toBe('new');
  });

  test('a removal is a change; a removal of nothing and a refused write are none', async () => {
    const store = await make();
    await write(store, 'a');
    const changes = store.watch('pods', signal())[Symbol.asyncIterator]();
    await store.remove('pods', 'nothing', 'anything');
    await store.put('pods', { id: 'a', value: 1 }, 'absent').catch(() => undefined);
    await store.remove('pods', 'a', 'anything');
    await write(store, 'last');
    expect([await next(changes), await next(changes)]).toEqual(['a', 'last']);
  });

  test('several changes of one id come at least once, in order of the last change', async () => {
    const store = await make();
    const changes = store.watch('pods', signal())[Symbol.asyncIterator]();
    for (const id of ['a', 'b', 'a', 'c']) await write(store, id);
    const last = new Map<string, number>();
    for (let turn = 0; last.size < 3; turn += 1) last.set(await next(changes), turn);
    const order = [...last].toSorted(([, a], [, b]) => a - b).map(([id]) => id);
    expect(order).toEqual(['b', 'a', 'c']);
  });

  test('changes of other collections are not reported', async () => {
    const store = await make();
    const changes = store.watch('pods', signal())[Symbol.asyncIterator]();
    await store.put('users', { id: 'u', value: 1 }, 'anything');
    await write(store, 'a');
    expect(await next(changes)).toBe('a');
  });

  test('every watcher hears of every change', async () => {
    const store = await make();
    const watchers = [1, 2, 3].map(() => store.watch('pods', signal())[Symbol.asyncIterator]());
    await write(store, 'a');
    expect(await Promise.all(watchers.map(next))).toEqual(['a', 'a', 'a']);
  });

  test('aborting ends the iteration without an error, waiting or not', async () => {
    const store = await make();
    const abort = new AbortController();
    const waiting = store.watch('pods', abort.signal)[Symbol.asyncIterator]();
    const coming = waiting.next();
    const unread = store.watch('pods', abort.signal)[Symbol.asyncIterator]();
    await write(store, 'a');
    await coming;
    const last = waiting.next();
    abort.abort();
    expect((await last).done).toBe(true);
    expect((await unread.next()).done).toBe(true);
    const never = store.watch('pods', abort.signal)[Symbol.asyncIterator]();
    expect((await never.next()).done).toBe(true);
  });

  test('a watcher that leaves its loop ends nobody else', async () => {
    const store = await make();
    const shared = signal();
    const staying = store.watch('pods', shared)[Symbol.asyncIterator]();
    const leaving = store.watch('pods', shared);
    await write(store, 'a');
    for await (const { id } of leaving) {
      expect(id).toBe('a');
      break;
    }
    await write(store, 'b');
    expect([await next(staying), await next(staying)]).toEqual(['a', 'b']);
  });
}

/** The typed view is the same for all stores; it is tested where it works on a real one. */
function collections(make: Make): void {
  const zPod = z.strictObject({ port: z.int() });

  test('a collection parses on reading and reports what does not parse', async () => {
    const store = await make();
    const pods = collection(store, 'pods', zPod);
    const version = await pods.put('good', { port: 1 }, 'absent');
    await store.put('pods', { id: 'bad', value: { port: 'x' } }, 'absent');
    expect(await pods.get('good')).toEqual({ id: 'good', value: { port: 1 }, version });
    await expect(pods.get('bad')).rejects.toThrow(BrokenDocument);
    const { documents: good, broken } = await pods.list();
    expect(good.map(({ id }) => id)).toEqual(['good']);
    expect(broken.map(({ id }) => id)).toEqual(['bad']);
    const changes = await pods.changesSince(version);
    expect([changes.documents, changes.broken]).toEqual([[], broken]);
    for await (const page of pods.pagesSince(0))
      expect([page.documents, page.broken]).toEqual([good, broken]);
  });

  test('a collection refuses to write what it would not read', async () => {
    const store = await make();
    const pods = collection(store, 'pods', zPod);
    expect(() => pods.put('a', { port: 1.5 }, 'absent')).toThrow();
    expect(await pods.get('a')).toBeUndefined();
  });
}
