import { hasForbiddenBytes, hopByHop, listOf, parseLength, splitField } from './fields.ts';
import type { Framing } from './request-head.ts';

export interface ResponseHead {
  readonly status: number;
  readonly framing: Framing;
  readonly length: number;
  /** The upstream lets its connection be used again. */
  readonly keepAlive: boolean;
  readonly websocket: boolean;
  /** Status line and end-to-end fields, each with CRLF; framing and connection fields are ours. */
  readonly text: string;
}

interface Collected {
  kept: { name: string; line: string }[];
  lengths: string[];
  codings: string[];
  connection: string[];
  upgrade: string;
}

/**
 * Parses a head (without the empty line) from an upstream. Undefined when it cannot be passed on
 * without guessing (RFC 9112, 6.3): the caller answers 502 and never uses the connection again.
 */
export function parseResponseHead(head: string, requestMethod: string): ResponseHead | undefined {
  if (hasForbiddenBytes(head)) return undefined;
  const lines = head.split('\r\n');
  const start = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: (.*))?$/.exec(lines[0] ?? '');
  if (!start) return undefined;
  const [, minor, code, reason = ''] = start;
  const status = Number(code);
  const collected = collect(lines);
  if (!collected) return undefined;
  // RFC 9112, 6.1: faulty, whatever else it says.
  if (minor === '0' && collected.codings.length > 0) return undefined;
  const body = judgeBody(status, requestMethod, collected);
  if (!body) return undefined;
  const { connection } = collected;
  return {
    status,
    ...body,
    keepAlive:
      body.framing !== 'close' &&
      (minor === '1' ? !connection.includes('close') : connection.includes('keep-alive')),
    websocket: collected.upgrade.toLowerCase() === 'websocket',
    text: `HTTP/1.1 ${code} ${reason}\r\n${keptFields(collected, neverHasBody(status))}`,
  };
}

function collect(lines: readonly string[]): Collected | undefined {
  const found: Collected = { kept: [], lengths: [], codings: [], connection: [], upgrade: '' };
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const field = splitField(line);
    if (!field) return undefined;
    const { name, value } = field;
    if (name === 'content-length') found.lengths.push(value);
    if (name === 'transfer-encoding') found.codings.push(line.slice(name.length + 1));
    if (name === 'connection') found.connection.push(...listOf(value));
    if (name === 'upgrade') found.upgrade = value;
    if (name === 'transfer-encoding' || !hopByHop.has(name)) found.kept.push({ name, line });
  }
  return found;
}

/** RFC 9110, 8.6 and RFC 9112, 6.1: with a framing field, sloppy clients would wait for a body. */
const neverHasBody = (status: number): boolean => status < 200 || status === 204;

/** Connection may name further fields of the pod's hop; not those that tell where the body ends. */
function keptFields({ kept, connection }: Collected, bodiless: boolean): string {
  let fields = '';
  for (const { name, line } of kept) {
    const framing = name === 'content-length' || name === 'transfer-encoding';
    if (framing ? !bodiless : !connection.includes(name)) fields += `${line}\r\n`;
  }
  return fields;
}

function judgeBody(
  status: number,
  requestMethod: string,
  { codings, lengths }: Collected,
): { framing: Framing; length: number } | undefined {
  if (codings.length + lengths.length > 1) return undefined;
  const [coding] = codings;
  const [written] = lengths;
  // Passed on verbatim, so with spaces at most: `chunked<TAB>` is read in two ways by two parsers.
  if (coding !== undefined && !/^ *chunked *$/i.test(coding)) return undefined;
  const length = written === undefined ? 0 : parseLength(written);
  if (length === undefined) return undefined;
  if (requestMethod === 'HEAD' || status === 304 || neverHasBody(status)) {
    return { framing: 'none', length: 0 };
  }
  if (coding !== undefined) return { framing: 'chunked', length: 0 };
  if (written === undefined) return { framing: 'close', length: 0 };
  return length === 0 ? { framing: 'none', length } : { framing: 'length', length };
}
