/** Header fields as RFC 9110 and 9112 have them; every ambiguity is refused, none repaired. */

/** Why a message is refused: what the client gets, or the reason an upstream answer is not passed on. */
export class Refusal {
  readonly status: 400 | 405 | 414 | 431 | 501 | 505;
  readonly reason: string;

  constructor(status: Refusal['status'], reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

// RFC 9110, 5.6.2
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
export const isToken = (text: string): boolean => text === 'GET' || token.test(text);

// Control characters other than TAB, and CR or LF outside of a line's end (RFC 9112, 2.2).
// oxlint-disable-next-line no-control-regex -- these are the characters to find
const forbidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]|\r(?!\n)|(?:^|[^\r])\n/;
export const hasForbiddenBytes = (head: string): boolean => forbidden.test(head);

/** A host name or bracketed IPv6 address, with or without a port (RFC 9112, 3.2). */
export const authority =
  /^([a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?)\.?(?::\d{1,5})?$|^(\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** A field line split into its lower-case name and its value without optional white space. */
export function splitField(line: string): { name: string; value: string } | undefined {
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  // A space before the colon, or at the start (obs-fold), is no token character.
  if (colon < 1 || !isToken(name)) return undefined;
  let from = colon + 1;
  let to = line.length;
  while (from < to && isSpace(line.charCodeAt(from))) from += 1;
  while (to > from && isSpace(line.charCodeAt(to - 1))) to -= 1;
  return { name: name.toLowerCase(), value: line.slice(from, to) };
}

/** The value of the first field of this lower-case name, or nothing. `lines`: each with CRLF. */
export function valueOf(name: string, lines: string): string {
  for (const line of lines.split('\r\n')) {
    const field = splitField(line);
    if (field?.name === name) return field.value;
  }
  return '';
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09;

const lengthDigitsMax = 16; // those of the largest safe integer

/** A length that is safe to count with, or undefined (RFC 9112, 6.3: anything else is an attack). */
export function parseLength(value: string): number | undefined {
  let length = 0;
  for (let at = 0; at < value.length; at += 1) {
    const digit = value.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9 || at === lengthDigitsMax) return undefined;
    length = length * 10 + digit;
  }
  const written = value.length === 1 || value.charCodeAt(0) !== 0x30;
  return value !== '' && written && Number.isSafeInteger(length) ? length : undefined;
}

/** Fields about one connection only (RFC 9110, 7.6.1). */
export const hopByHop = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** What we say of the client, and so no client may. */
export const isForwarding = (name: string): boolean =>
  name.startsWith('x-forwarded-') || name === 'forwarded' || name === 'x-real-ip';

/**
 * What a field such as Accept prefers (RFC 9110, 12.4.2): names in lower case with their weights. A
 * weight that is none weighs nothing.
 */
export function weightsOf(value: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const member of listOf(value)) {
    const [name = '', ...parameters] = member.split(';').map((part) => part.trim());
    const written = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const valid = written === undefined || /^(0(\.\d*)?|1(\.0*)?)$/.test(written);
    weights.set(name, valid ? Number(written ?? 1) : 0);
  }
  return weights;
}

/** The members of a comma list in lower case. */
export const listOf = (value: string): string[] =>
  value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim())
    .filter(Boolean);
