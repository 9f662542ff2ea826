import { Refusal } from '../http1/fields.ts';
import type { LastFields, RequestHead } from '../http1/request-head.ts';
import { parseRequestHead } from '../http1/request-head.ts';
import type { Limits } from '../limits.ts';
import { connectionSpecific, isFieldName, isPlainValue } from './fields.ts';

/** What is no request at all: an error of its stream (RFC 9113, 8.1.1), where a `Refusal` is answered. */
export class Malformed {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A request as HTTP/2 delivers it. */
export interface Http2Request {
  /** Names and values in turn, pseudo-fields first. */
  readonly raw: readonly string[];
  /** Nothing follows the fields. */
  readonly ended: boolean;
  /** For Extended CONNECT (RFC 8441): the Sec-WebSocket-Key that the pod is asked with. */
  readonly webSocketKey: string;
  /** What the connection said before is not read again. */
  readonly last?: LastFields;
}

const pseudoNames: ReadonlySet<string> = new Set([
  ':method',
  ':scheme',
  ':authority',
  ':path',
  ':protocol',
]);

interface Collected {
  readonly pseudo: Map<string, string>;
  readonly cookies: string[];
  host: string | undefined;
  /** A field that is none of the pseudo-fields has come: none of them may follow (RFC 9113, 8.3). */
  regular: boolean;
  lines: string;
}

/**
 * Writes an HTTP/2 request as one of HTTP/1.1 and reads it with the parser of that: one gate for
 * both. Nothing that could end a line or frame a message reaches the text (RFC 9113, 8.2.1, 8.3.1).
 */
export function requestHead(
  request: Http2Request,
  limits: Limits,
): RequestHead | Refusal | Malformed {
  const collected = collect(request.raw);
  if (collected instanceof Malformed) return collected;
  const start = startOf(collected);
  if (typeof start !== 'string') return start;
  const text = `${start}${collected.lines}${connectionLines(collected, request)}`;
  if (text.length > limits.headBytesMax) return new Refusal(431, 'the head is too large');
  const head = parseRequestHead(text, limits, request.last ? { last: request.last } : {});
  const short = request.ended && !(head instanceof Refusal) && head.length > 0;
  return short ? new Malformed('a length and no content') : head;
}

function collect(raw: readonly string[]): Collected | Malformed {
  const collected: Collected = {
    pseudo: new Map(),
    cookies: [],
    host: undefined,
    regular: false,
    lines: '',
  };
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const problem = take(collected, raw[at] ?? '', raw[at + 1] ?? '');
    if (problem) return new Malformed(problem);
  }
  return collected;
}

/** Takes one field; returns what is wrong with it. */
function take(collected: Collected, name: string, value: string): string | undefined {
  if (!isPlainValue(value)) return 'a header value holds a character it must not';
  if (name.startsWith(':')) {
    if (!pseudoNames.has(name) || collected.pseudo.has(name)) return 'a pseudo-field is malformed';
    if (collected.regular) return 'a pseudo-field behind a field';
    if (value.includes(' ')) return 'a pseudo-field holds a space';
    collected.pseudo.set(name, value);
    return undefined;
  }
  collected.regular = true;
  if (!isFieldName(name)) return 'a header name is malformed';
  if (connectionSpecific.has(name)) return `${name} has no meaning in HTTP/2`;
  if (name === 'te') return value === 'trailers' ? undefined : 'te may only say trailers';
  if (name === 'host') {
    if (collected.host !== undefined) return 'more than one Host';
    collected.host = value;
  } else if (name === 'cookie') collected.cookies.push(value);
  else collected.lines += `${name}: ${value}\r\n`;
  return undefined;
}

function startOf({ pseudo, host }: Collected): string | Refusal | Malformed {
  const path = pseudo.get(':path');
  const authority = pseudo.get(':authority') ?? host;
  const sent = pseudo.get(':method');
  const method = methodOf(sent, pseudo.get(':protocol'));
  if (method instanceof Refusal) return method;
  if (method === undefined || authority === undefined || path === undefined) {
    return new Malformed('a pseudo-field is missing');
  }
  if (!/^https?$/.test(pseudo.get(':scheme') ?? '')) return new Malformed(':scheme is not https');
  if (!path.startsWith('/') && !(path === '*' && method === 'OPTIONS')) {
    return new Malformed(':path is no path');
  }
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    return new Refusal(400, ':authority names another host than Host');
  }
  return `${method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n`;
}

function methodOf(sent: string | undefined, protocol: string | undefined) {
  if (protocol === undefined) {
    // Plain CONNECT asks for a forward proxy; refused before anything is looked up.
    return sent === 'CONNECT' ? new Refusal(405, 'this is no forward proxy') : sent;
  }
  if (sent === 'CONNECT' && protocol === 'websocket') return 'GET';
  return new Refusal(501, 'a :protocol other than websocket');
}

/** What HTTP/2 says by other means, in the words of HTTP/1.1. */
function connectionLines({ pseudo, cookies, lines }: Collected, request: Http2Request): string {
  // RFC 9113, 8.2.3: they may come in crumbs.
  const cookie = cookies.length > 0 ? `cookie: ${cookies.join('; ')}\r\n` : '';
  if (pseudo.has(':protocol')) {
    const key = `sec-websocket-key: ${request.webSocketKey}\r\n`;
    return `${cookie}connection: upgrade\r\nupgrade: websocket\r\n${key}`;
  }
  const framed = request.ended || /^content-length:/m.test(lines);
  return framed ? cookie : `${cookie}transfer-encoding: chunked\r\n`;
}
