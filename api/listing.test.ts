import { array, assert, constantFrom, integer, property, record, uniqueArray } from 'fast-check';
import { expect, test } from 'vitest';
import type { Listing, Wanted } from './listing.ts';
import { pageOf } from './listing.ts';

interface Thing {
  readonly id: string;
  readonly size: number | null;
  readonly kind: string;
}

const listing: Listing<Thing> = {
  id: ({ id }) => id,
  texts: ({ id, kind }) => [id, kind],
  keys: { id: ({ id }) => id, size: ({ size }) => size, kind: ({ kind }) => kind },
};
const thing = (id: string, size: number | null, kind = 'a'): Thing => ({ id, size, kind });
const things = [thing('a', 3), thing('b', null, 'B'), thing('c', 1), thing('d', 1, 'B')];
const ids = (wanted: Wanted): string[] => pageOf(things, listing, wanted).items.map(({ id }) => id);

test('nothing asked is everything as it comes, and nothing said about it', () => {
  expect(pageOf(things, listing, {})).toEqual({ items: things, metadata: {} });
  expect(pageOf(things, listing, { limit: undefined }).metadata).toEqual({});
});

test('sorting, what is not there first, equals by id', () => {
  expect(ids({ sort: 'size' })).toEqual(['b', 'c', 'd', 'a']);
  expect(ids({ sort: '-size' })).toEqual(['a', 'c', 'd', 'b']);
  expect(ids({ sort: 'kind,-id' })).toEqual(['d', 'b', 'c', 'a']);
});

test('searching and filtering', () => {
  expect(ids({ search: 'b' })).toEqual(['b', 'd']);
  expect(ids({ kind: 'a', size: '1' })).toEqual(['c']);
  expect(pageOf(things, listing, { kind: 'B', limit: 1 }).metadata).toMatchObject({ total: 2 });
});

test.each([
  [{ sort: 'color' }, 'querystring, sort: color is no field to sort by, only id, size, kind'],
  [{ sort: 'constructor' }, 'querystring, sort: constructor is no field'],
  [{ cursor: 'xyz' }, 'querystring, cursor: is not from a page with this sort'],
  [{ cursor: Buffer.from('["size",[1,"a"]]').toString('base64url') }, 'querystring, cursor: '],
])('%j is refused', (wanted, text) => {
  expect(() => pageOf(things, listing, wanted)).toThrow(text);
});

test('pages are the whole list once, also when items go and come meanwhile', () => {
  const item = record({
    id: constantFrom(...'a b c d e f g h i j k l m n o p'.split(' ')),
    size: integer({ min: 0, max: 3 }),
    kind: constantFrom('x', 'y'),
  });
  const lists = uniqueArray(item, { selector: ({ id }) => id });
  const sorts = constantFrom('', 'size', '-size', 'kind,-size', '-id');
  assert(
    property(
      lists,
      sorts,
      integer({ min: 1, max: 4 }),
      array(integer()),
      (list, sort, limit, gone) => {
        const whole = pageOf(list, listing, { sort: sort === '' ? 'id' : sort }).items;
        const first = pageOf(list, listing, { sort, limit }).items;
        expect(first).toEqual(whole.slice(0, limit));
        const seen: string[] = [];
        let now = list;
        let cursor: string | undefined;
        for (let page = 0; ; page += 1) {
          const { items, metadata } = pageOf(now, listing, { sort, limit, cursor });
          seen.push(...items.map(({ id }) => id));
          if (!metadata.next_cursor) break;
          cursor = metadata.next_cursor;
          const victim = now[Math.abs(gone[page] ?? -1) % now.length]?.id;
          now = gone[page] === undefined ? now : now.filter(({ id }) => id !== victim);
        }
        expect(new Set(seen).size).toBe(seen.length);
        // Whoever was there all the time was seen.
        for (const { id } of now) expect(seen).toContain(id);
      },
    ),
  );
});
