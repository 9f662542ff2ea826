import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { StoreUnavailable } from '#contracts/store.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { makeIdentity } from '../../test/edge.ts';
import { eventually } from '../../test/processes.ts';
import type { OwnIdentity } from '../messages.ts';
import type { Identity } from '../tls.ts';
import type { CertificateFeedPorts } from './feed.ts';
import { CertificateFeed } from './feed.ts';

const [first, second] = [makeIdentity(), makeIdentity()];
const silent = { debug() {}, info() {}, warn() {}, error() {} };

let folder: string;
let path: string;
let sealer: Sealer;
let documents: MemoryStore;
let stop: AbortController;
let changed: string[];
const feeds: CertificateFeed[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-feed-'));
  path = join(folder, 'certificates.db');
  sealer = openSealer(join(folder, 'key'));
  documents = new MemoryStore();
  stop = new AbortController();
  changed = [];
});
afterEach(() => {
  endAll();
  rmSync(folder, { recursive: true });
});

function endAll(): void {
  stop.abort();
  stop = new AbortController();
  for (const feed of feeds.splice(0)) feed.close();
}

const hostOf = (name: string): string => `${name}.pods.example.test`;

function certificate(name: string, { chain, key }: Identity, notAfterMs = Infinity): Certificate {
  return {
    hosts: [hostOf(name)],
    chain,
    key: sealer.seal(key, sealContext.certificate(name)),
    notBeforeMs: 0,
    notAfterMs: Math.min(notAfterMs, Number.MAX_SAFE_INTEGER),
    renewAtMs: Number.MAX_SAFE_INTEGER,
    issuer: 'test',
  };
}

const put = (name: string, identity: Identity, notAfterMs?: number): Promise<number> =>
  certificates(documents).put(name, certificate(name, identity, notAfterMs), 'anything');

function feedOf(collection: CertificateFeedPorts['certificates']): CertificateFeed {
  const ports = { certificates: collection, sealer, clock: systemClock, log: silent };
  const tell = { changed: (hosts: readonly string[]) => void changed.push(...hosts) };
  const feed = new CertificateFeed({ ...ports, ...tell }, path);
  feeds.push(feed);
  return feed;
}

/** Begins to follow; what ends the following later is in `ended`. */
async function followed(collection = certificates(documents)) {
  const feed = feedOf(collection);
  const read = Promise.withResolvers<void>();
  const ended = feed.follow(stop.signal, read.resolve).catch((error: unknown) => {
    read.reject(error);
    return error;
  });
  await read.promise;
  return { feed, ended };
}

const unavailable = () => Promise.reject(new StoreUnavailable('away'));
const away: CertificateFeedPorts['certificates'] = {
  get: unavailable,
  ids: unavailable,
  pagesSince: async function* () {
    yield await unavailable();
  },
  watch: async function* () {},
};

const wanted = (feed: CertificateFeed, name: string): Promise<OwnIdentity> =>
  new Promise((resolve) => feed.wanted(hostOf(name), resolve));

function damage(name: string): void {
  const database = new DatabaseSync(path);
  database.prepare(`update certificates set value = '{' where id = ?`).run(name);
  database.close();
}

test('a start without the store has every certificate of the last run', async () => {
  const names = Array.from({ length: 300 }, (_, n) => `n${n}`);
  for (const name of names) await put(name, first);
  const { feed } = await followed();
  expect(feed.identity(hostOf('n299'))).toEqual(first);
  await put('later', second);
  await eventually(() => feed.identity(hostOf('later')) !== undefined);
  endAll();
  const alone = feedOf(away);
  await expect(alone.follow(stop.signal, () => undefined)).rejects.toThrow(StoreUnavailable);
  for (const name of names) expect(alone.identity(hostOf(name))).toEqual(first);
  expect(alone.identity(hostOf('later'))).toEqual(second);
  expect(alone.identity(hostOf('nobody'))).toBeUndefined();
  expect(alone.problem).toBeUndefined();
});

test('the next start reads what changed since, and what was removed is gone', async () => {
  for (const name of ['a', 'b', 'c']) await put(name, first);
  await followed();
  endAll();
  await put('b', second);
  await certificates(documents).remove('c', 'anything');
  const real = certificates(documents);
  const read: string[] = [];
  const { feed } = await followed({
    ...real,
    pagesSince: async function* (since) {
      for await (const page of real.pagesSince(since)) {
        read.push(...page.documents.map(({ id }) => id));
        yield page;
      }
    },
  });
  expect(read).toEqual(['b']);
  expect(feed.identity(hostOf('a'))).toEqual(first);
  expect(feed.identity(hostOf('b'))).toEqual(second);
  expect(feed.identity(hostOf('c'))).toBeUndefined();
  expect(feed.counts.known).toBe(2);
});

test('changes are told and in use at once; one that was not is told to nobody', async () => {
  await put('a', first);
  const { feed } = await followed();
  expect(changed).toEqual([hostOf('a')]);
  await put('a', second);
  await eventually(() => changed.length === 2);
  expect(feed.identity(hostOf('a'))).toEqual(second);
  await certificates(documents).remove('a', 'anything');
  await eventually(() => changed.length === 3);
  expect(feed.identity(hostOf('a'))).toBeUndefined();
  endAll();
  await put('b', first);
  await followed();
  expect(changed).toEqual([hostOf('a'), hostOf('a'), hostOf('a'), hostOf('b')]);
});

test('a store that was restored counts, not what was known beyond it', async () => {
  for (const name of ['a', 'b', 'b']) await put(name, first);
  await followed();
  endAll();
  documents = new MemoryStore();
  await put('a', second);
  await put('c', second);
  const { feed } = await followed();
  // Its versions are lower, and that of `b` is gone.
  expect(feed.identity(hostOf('b'))).toBeUndefined();
  expect(feed.identity(hostOf('c'))).toEqual(second);
});

test('a store that breaks off is heard again from where it was', async () => {
  await put('a', first);
  const real = certificates(documents);
  let breaks = false;
  const flaky = {
    ...real,
    get: async (id: string) => (breaks ? unavailable() : real.get(id)),
  };
  const { feed, ended } = await followed(flaky);
  breaks = true;
  await put('a', second);
  expect(await ended).toBeInstanceOf(StoreUnavailable);
  expect(feed.identity(hostOf('a'))).toEqual(first);
  breaks = false;
  const read = Promise.withResolvers<void>();
  void feed.follow(stop.signal, read.resolve);
  await read.promise;
  expect(feed.identity(hostOf('a'))).toEqual(second);
});

test('one that is damaged on disk comes from the store, asked once for all who wait', async () => {
  await put('a', first);
  const real = certificates(documents);
  const asked: string[] = [];
  const get = (id: string) => {
    asked.push(id);
    return real.get(id);
  };
  const { feed } = await followed({ ...real, get });
  damage('a');
  expect(feed.identity(hostOf('a'))).toBeUndefined();
  expect(feed.known(hostOf('a'))?.problem).toMatch(/damaged/);
  const answers = await Promise.all(['a', 'a', 'a'].map((name) => wanted(feed, name)));
  expect(answers).toEqual([first, first, first]);
  expect(asked).toEqual(['a']);
  expect(feed.known(hostOf('a'))).toMatchObject({ id: 'a', problem: undefined });
  endAll();
  expect(await wanted(feedOf(away), 'a')).toEqual(first);
});

test('while the store is away a damaged one is not there, and others are', async () => {
  for (const name of ['a', 'b']) await put(name, first);
  await followed();
  endAll();
  damage('a');
  const alone = feedOf(away);
  expect(await wanted(alone, 'a')).toBeUndefined();
  expect(await wanted(alone, 'a')).toBeUndefined();
  expect(await wanted(alone, 'b')).toEqual(first);
  expect(await wanted(alone, 'c')).toBe('none');
  expect(alone.counts).toEqual({ known: 2, unusable: 1 });
});

test('what the store says of a damaged one does not undo a change that was heard of meanwhile', async () => {
  await put('a', first);
  const real = certificates(documents);
  const old = await real.get('a');
  const late = Promise.withResolvers<typeof old>();
  let delayed = false;
  const get = (id: string) => (delayed ? ((delayed = false), late.promise) : real.get(id));
  const { feed } = await followed({ ...real, get });
  damage('a');
  delayed = true;
  const answer = wanted(feed, 'a');
  await put('a', second);
  await eventually(() => changed.length === 2);
  late.resolve(old);
  expect(await answer).toEqual(second);
  expect(feed.identity(hostOf('a'))).toEqual(second);
});

test('one whose key is of another never takes the place of one that works, over a restart neither', async () => {
  await put('a', first);
  const wrong = { chain: second.chain, key: first.key };
  const { feed } = await followed();
  await put('a', wrong);
  await put('b', wrong);
  await eventually(() => feed.known(hostOf('b')) !== undefined);
  expect(feed.identity(hostOf('a'))).toEqual(first);
  expect(feed.identity(hostOf('b'))).toEqual(wrong);
  endAll();
  expect((await followed()).feed.identity(hostOf('a'))).toEqual(first);
  endAll();
  // What was refused is looked at again: it may have been us who were wrong.
  damage('a');
  expect((await followed()).feed.identity(hostOf('a'))).toEqual(wrong);
});

test('in place of one that has ended anything may try', async () => {
  await put('a', first, 1);
  const { feed } = await followed();
  const wrong = { chain: second.chain, key: first.key };
  await put('a', wrong);
  await eventually(() => changed.length === 2);
  expect(feed.identity(hostOf('a'))).toEqual(wrong);
});

test('until all were read once, it says so', async () => {
  await put('a', first);
  const unread = feedOf(away);
  await expect(unread.follow(stop.signal, () => undefined)).rejects.toThrow(StoreUnavailable);
  expect(unread.problem).toMatch(/read for the first time, 0 are known/);
  endAll();
  expect((await followed()).feed.problem).toBeUndefined();
});

test('a document that does not parse leaves the one before in use, and is read again', async () => {
  await put('a', first);
  const { feed } = await followed();
  await documents.put('certificates', { id: 'a', value: 'nonsense' }, 'anything');
  await put('b', first);
  await eventually(() => feed.known(hostOf('b')) !== undefined);
  await put('c', first);
  await eventually(() => feed.known(hostOf('c')) !== undefined);
  expect(feed.identity(hostOf('a'))).toEqual(first);
  endAll();
  const next = (await followed()).feed;
  expect(next.identity(hostOf('a'))).toEqual(first);
  await put('a', second);
  await eventually(() => changed.filter((host) => host === hostOf('a')).length === 2);
  expect(next.identity(hostOf('a'))).toEqual(second);
});
