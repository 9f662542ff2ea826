import { z } from 'zod';
import { Invalid } from './errors.ts';

/**
 * Lists that callers narrow, order and read in pages. A page goes on after the last item of the one
 * before, by its sort keys and id and not by a count: what is made or deleted meanwhile shifts
 * nothing.
 */

type Key = string | number | null;

/** How items of a list are told apart, found and compared. */
export interface Listing<Item> {
  readonly id: (item: Item) => string;
  /** Where `search` looks. */
  readonly texts: (item: Item) => readonly string[];
  /** By what can be sorted, and filtered for equality. */
  readonly keys: Readonly<Record<string, (item: Item) => Key>>;
}

export interface Wanted {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly sort?: string | undefined;
  readonly search?: string | undefined;
  readonly [filter: string]: string | number | undefined;
}

export interface Page<Item> {
  readonly items: Item[];
  /** How many there are on all pages, and where the next one begins; {} when nothing was asked. */
  readonly metadata: { readonly total?: number; readonly next_cursor?: string | null };
}

export const listFields = {
  limit: z.coerce
    .number<string>('must be a number')
    .int('must be a whole number')
    .min(1, 'must be 1 to 1000')
    .max(1000, 'must be 1 to 1000')
    .optional()
    .describe('How many to answer with; without it all.'),
  cursor: z
    .string()
    .max(2000, 'is longer than 2000')
    .optional()
    .describe('`next_cursor` of the page before, with the same sort.'),
  sort: z
    .string()
    .max(200, 'is longer than 200')
    .optional()
    .describe('Fields with commas between; `-` before one turns it round.'),
  search: z
    .string()
    .max(200, 'is longer than 200')
    .optional()
    .describe('Only what has this text in its id or description, in any case.'),
};

/** The page that is wanted. Throws `Invalid`. */
export function pageOf<Item>(
  items: readonly Item[],
  listing: Listing<Item>,
  wanted: Wanted,
): Page<Item> {
  if (Object.values(wanted).every((value) => value === undefined))
    return { items: [...items], metadata: {} };
  const { limit, cursor, sort = '', search, ...filters } = wanted;
  const matching = items.filter(
    (item) => holds(item, search, listing) && equals(item, filters, listing),
  );
  const order = orderOf(sort, listing);
  // Pages need an order of their own; a list that is only narrowed keeps the one it has.
  const ordered = sort !== '' || limit !== undefined || cursor !== undefined;
  const sorted = ordered ? matching.toSorted((a, b) => compare(a, b, order)) : matching;
  const after = cursor === undefined ? undefined : readCursor(cursor, sort, order.length);
  const rest = after
    ? sorted.filter((item) => compareKeys(keysOf(item, order), after, order) > 0)
    : sorted;
  const page = limit === undefined ? rest : rest.slice(0, limit);
  const last = page.at(-1);
  const next_cursor =
    last !== undefined && page.length < rest.length ? writeCursor(sort, keysOf(last, order)) : null;
  return { items: page, metadata: { total: matching.length, next_cursor } };
}

const holds = <Item>(item: Item, search: string | undefined, { texts }: Listing<Item>): boolean =>
  search === undefined ||
  texts(item).some((text) => text.toLowerCase().includes(search.toLowerCase()));

const equals = <Item>(
  item: Item,
  filters: Readonly<Record<string, string | number | undefined>>,
  { keys }: Listing<Item>,
): boolean =>
  Object.entries(filters).every(
    ([name, value]) => value === undefined || String(keys[name]?.(item)) === String(value),
  );

interface Step<Item> {
  readonly key: (item: Item) => Key;
  readonly sign: 1 | -1;
}

/** The keys to compare by, the id last: it decides between equals. */
function orderOf<Item>(sort: string, { id, keys }: Listing<Item>): readonly Step<Item>[] {
  const names = sort === '' ? [] : sort.split(',');
  const steps = names.map((name): Step<Item> => {
    const plain = name.replace(/^-/, '');
    const key = Object.hasOwn(keys, plain) ? keys[plain] : undefined;
    if (!key) {
      const known = Object.keys(keys).join(', ');
      throw new Invalid([`querystring, sort: ${plain} is no field to sort by, only ${known}`]);
    }
    return { key, sign: name.startsWith('-') ? -1 : 1 };
  });
  return [...steps, { key: id, sign: 1 }];
}

const keysOf = <Item>(item: Item, order: readonly Step<Item>[]): Key[] =>
  order.map(({ key }) => key(item));

const compare = <Item>(a: Item, b: Item, order: readonly Step<Item>[]): number =>
  compareKeys(keysOf(a, order), keysOf(b, order), order);

function compareKeys<Item>(
  a: readonly Key[],
  b: readonly Key[],
  order: readonly Step<Item>[],
): number {
  for (const [index, { sign }] of order.entries()) {
    const way = compareKey(a[index] ?? null, b[index] ?? null);
    if (way !== 0) return way * sign;
  }
  return 0;
}

/** What is not there comes first. */
function compareKey(a: Key, b: Key): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  return a < b ? -1 : 1;
}

const zCursor = z.tuple([z.string(), z.array(z.union([z.string(), z.number(), z.null()]))]);

const writeCursor = (sort: string, keys: readonly Key[]): string =>
  Buffer.from(JSON.stringify([sort, keys])).toString('base64url');

function readCursor(cursor: string, sort: string, length: number): Key[] {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    read = undefined;
  }
  const parsed = zCursor.safeParse(read);
  const [made, keys] = parsed.data ?? [];
  if (made !== sort || keys?.length !== length)
    throw new Invalid(['querystring, cursor: is not from a page with this sort, begin without it']);
  return keys;
}
