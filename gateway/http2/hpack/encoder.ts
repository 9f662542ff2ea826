import { staticTable } from './static-table.ts';

/**
 * Encodes fields (RFC 7541) as text, a character for a byte, with the static table alone: what a field
 * looks like depends on nothing, and can be remembered. As nginx and HAProxy do.
 */

/** Said once before the first field, it tells the peer that no table is used (RFC 7541, 4.2). */
export const noTable = '\u0020';

const nameIndexes = new Map<string, number>();
const fieldIndexes = new Map<string, number>();
for (const [at, [name, value]] of staticTable.entries()) {
  if (!nameIndexes.has(name)) nameIndexes.set(name, at + 1);
  if (value !== '') fieldIndexes.set(`${name}: ${value}`, at + 1);
}

/** One field. `name` in lower case; what proves who somebody is goes into no table on the way (7.1.3). */
export function encodeField(name: string, value: string): string {
  const known = fieldIndexes.get(`${name}: ${value}`);
  if (known !== undefined) return String.fromCharCode(0x80 | known);
  const index = nameIndexes.get(name);
  const form = neverIndexed.has(name) ? 0x10 : 0x00;
  const head = integer(index ?? 0, form, 0x0f);
  return index === undefined ? head + string(name) + string(value) : head + string(value);
}

const neverIndexed: ReadonlySet<string> = new Set(['set-cookie', 'authorization']);

const string = (text: string): string => integer(text.length, 0x00, 0x7f) + text;

/** An integer (5.1) in the bits of `mask` and behind them; `form`: the bits before it. */
function integer(value: number, form: number, mask: number): string {
  if (value < mask) return String.fromCharCode(form | value);
  let text = String.fromCharCode(form | mask);
  let left = value - mask;
  while (left >= 0x80) {
    text += String.fromCharCode((left & 0x7f) | 0x80);
    left >>>= 7;
  }
  return text + String.fromCharCode(left);
}
