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

/** The page that is wanted, of items in the order a list without pages has. Throws `Invalid`. */
export function pageOf<Item>(
  items: Iterable<Item>,
  listing: Listing<Item>,
  wanted: Wanted,
): Page<Item> {
  if (Object.values(wanted).every((value) => value === undefined))
    return { items: [...items], metadata: {} };
  const { limit, cursor, sort = '', search, ...filters } = wanted;
  const matches = matcherOf(search, filters, listing);
  const order = orderOf(sort, listing);
  const after = cursor === undefined ? undefined : readCursor(cursor, sort, order.length);
  // Pages need an order of their own; a list that is only narrowed keeps the one it has.
  const ordered = sort !== '' || limit !== undefined || cursor !== undefined;
  const first = new First(limit ?? Infinity, ordered ? compareBy(order) : () => 0);
  let [total, left] = [0, 0];
  for (const item of items) {
    if (!matches(item)) continue;
    total += 1;
    if (after && !comesAfter(item, after, order)) continue;
    left += 1;
    first.offer(item);
  }
  const page = first.sorted();
  const last = page.at(-1);
  const next_cursor =
    last !== undefined && page.length < left
      ? writeCursor(
          sort,
          order.map(({ key }) => key(last)),
        )
      : null;
  return { items: page, metadata: { total, next_cursor } };
}

/** The first so many in an order: for a page of a long list there is no need to keep the rest. */
class First<Item> {
  readonly #count: number;
  readonly #compare: (a: Item, b: Item) => number;
  #kept: Item[] = [];
  #last: Item | undefined;

  constructor(count: number, compare: (a: Item, b: Item) => number) {
    this.#count = count;
    this.#compare = compare;
  }

  offer(item: Item): void {
    if (this.#last !== undefined && this.#compare(item, this.#last) >= 0) return;
    this.#kept.push(item);
    // Rarely enough that the sorting costs little, often enough that few are kept.
    if (this.#kept.length < 2 * this.#count) return;
    this.#kept = this.sorted();
    this.#last = this.#kept.at(-1);
  }

  sorted(): Item[] {
    return this.#kept.toSorted(this.#compare).slice(0, this.#count);
  }
}

/** Whether an item is among those looked for. */
function matcherOf<Item>(
  search: string | undefined,
  filters: Readonly<Record<string, string | number | undefined>>,
  { texts, keys }: Listing<Item>,
): (item: Item) => boolean {
  const text = search?.toLowerCase();
  const equal = Object.entries(filters).filter(([, value]) => value !== undefined);
  return (item) =>
    (text === undefined || texts(item).some((each) => each.toLowerCase().includes(text))) &&
    equal.every(([name, value]) => String(keys[name]?.(item)) === String(value));
}

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

const compareBy =
  <Item>(order: readonly Step<Item>[]) =>
  (a: Item, b: Item): number => {
    for (const { key, sign } of order) {
      const way = compareKey(key(a), key(b));
      if (way !== 0) return way * sign;
    }
    return 0;
  };

function comesAfter<Item>(item: Item, keys: readonly Key[], order: readonly Step<Item>[]): boolean {
  for (const [index, { key, sign }] of order.entries()) {
    const way = compareKey(key(item), keys[index] ?? null);
    if (way !== 0) return way * sign > 0;
  }
  return false;
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
