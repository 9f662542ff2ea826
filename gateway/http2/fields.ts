import { trailerAllowed } from '../http1/chunked.ts';
import { splitField } from '../http1/fields.ts';

/** Field lines of HTTP/1.1 as HTTP/2 has them (RFC 9113, 8.2): names in lower case, flat pairs. */
export function fieldsOf(lines: string): string[] {
  const pairs: string[] = [];
  for (const line of lines.split('\r\n')) {
    const field = line === '' ? undefined : splitField(line);
    if (field) pairs.push(field.name, field.value);
  }
  return pairs;
}

/** The fields that no HTTP/2 message may have (RFC 9113, 8.2.2). */
export const connectionSpecific: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

// CR, LF and NUL would end the line that the value becomes (RFC 9113, 8.2.1 and 10.3).
// oxlint-disable-next-line no-control-regex -- these are the characters to find
const splitting = /[\u0000\r\n]|^[ \t]|[ \t]$/;

/** Whether a value can become part of a line without changing the message around it. */
export const isPlainValue = (value: string): boolean => !splitting.test(value);

const lowerCaseToken = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

export const isFieldName = (name: string): boolean => lowerCaseToken.test(name);

/** Pairs that came in HTTP/2 as lines of HTTP/1.1, or undefined when one cannot be such a line. */
export function linesOf(pairs: readonly string[]): string | undefined {
  let lines = '';
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const name = pairs[at] ?? '';
    const value = pairs[at + 1] ?? '';
    if (!isFieldName(name) || !isPlainValue(value) || connectionSpecific.has(name))
      return undefined;
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** Trailers of a request as lines of HTTP/1.1, or undefined when they may not come there. */
export function trailersOf(pairs: readonly string[]): string | undefined {
  const lines = linesOf(pairs);
  const allowed = lines?.split('\r\n').every((line) => line === '' || trailerAllowed(line));
  return allowed ? lines : undefined;
}

/** How long they would be in HTTP/1.1, which is what traffic is counted in. */
export function headBytes(raw: readonly string[]): number {
  let bytes = 0;
  for (const text of raw) bytes += text.length + 2;
  return bytes;
}

/** Trailers, lines each with CRLF, as node:http2 takes them. */
export const trailersObject = (lines: string): Record<string, string[]> => grouped(fieldsOf(lines));

function grouped(pairs: readonly string[]): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    (fields[pairs[at] ?? ''] ??= []).push(pairs[at + 1] ?? '');
  }
  return fields;
}
