import { beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { MemoryStore } from '#adapters/memory/store.ts';
import type { Collection } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';
import { Mirror } from './mirror.ts';

const zThing = z.strictObject({ size: z.int() });
type Thing = z.infer<typeof zThing>;

let store: MemoryStore;
let things: Collection<Thing>;
let parsed: number;
let mirror: Mirror<Thing, number>;

beforeEach(() => {
  store = new MemoryStore();
  things = collection(store, 'things', zThing);
  parsed = 0;
  mirror = new Mirror(things, ({ size }) => {
    parsed += 1;
    return size;
  });
});

async function shown(): Promise<[string, number][]> {
  return [...(await mirror.read()).documents];
}

test('every reading shows what was written and removed before, in order of id', async () => {
  expect(await shown()).toEqual([]);
  await things.put('b', { size: 1 }, 'absent');
  await things.put('c', { size: 2 }, 'absent');
  expect(await shown()).toEqual([
    ['b', 1],
    ['c', 2],
  ]);
  await things.put('a', { size: 3 }, 'absent');
  await things.put('b', { size: 4 }, 'anything');
  await things.remove('c', 'anything');
  expect(await shown()).toEqual([
    ['a', 3],
    ['b', 4],
  ]);
});

test('what did not change is not parsed again', async () => {
  for (const id of ['a', 'b', 'c']) await things.put(id, { size: 1 }, 'absent');
  await mirror.read();
  parsed = 0;
  await mirror.read();
  expect(parsed).toBe(0);
  await things.put('b', { size: 2 }, 'anything');
  await mirror.read();
  expect(parsed).toBe(1);
});

test('what does not parse is named until it does or is gone', async () => {
  await things.put('a', { size: 1 }, 'absent');
  for (const id of ['a', 'b']) await store.put('things', { id, value: 'no thing' }, 'anything');
  const { documents, broken } = await mirror.read();
  expect([[...documents], [...broken]]).toEqual([[], ['a', 'b']]);
  await things.put('a', { size: 2 }, 'anything');
  await things.remove('b', 'anything');
  const later = await mirror.read();
  expect([[...later.documents], [...later.broken]]).toEqual([[['a', 2]], []]);
});

test('who asks while a reading is under way gets what was written until then', async () => {
  const held: PromiseWithResolvers<void>[] = [];
  const slow = new Mirror<Thing, number>(
    {
      async changesSince(version) {
        const delta = await things.changesSince(version);
        const hold = Promise.withResolvers<void>();
        held.push(hold);
        await hold.promise;
        return delta;
      },
    },
    ({ size }) => size,
  );
  const first = slow.read();
  await expect.poll(() => held.length).toBe(1);
  await things.put('late', { size: 1 }, 'absent');
  const second = slow.read();
  const third = slow.read();
  held[0]?.resolve();
  await first;
  await expect.poll(() => held.length).toBe(2);
  held[1]?.resolve();
  for (const reading of [second, third])
    expect([...(await reading).documents]).toEqual([['late', 1]]);
  // One look served both.
  expect(held).toHaveLength(2);
});

test('a reading that fails is told to those who asked; the next one starts anew', async () => {
  let fails = true;
  const failing = new Mirror<Thing, number>(
    {
      changesSince: (version) =>
        fails ? Promise.reject(new Error('away')) : things.changesSince(version),
    },
    ({ size }) => size,
  );
  await things.put('a', { size: 1 }, 'absent');
  await expect(failing.read()).rejects.toThrow('away');
  fails = false;
  expect([...(await failing.read()).documents]).toEqual([['a', 1]]);
});

test('of many who write and read at once, each sees at least their own', async () => {
  await Promise.all(
    Array.from({ length: 50 }, async (_, size) => {
      const id = `id-${size}`;
      await things.put(id, { size }, 'absent');
      expect((await mirror.read()).documents.get(id)).toBe(size);
      await things.remove(id, 'anything');
      expect((await mirror.read()).documents.has(id)).toBe(false);
    }),
  );
});
