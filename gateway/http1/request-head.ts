import type { Limits } from '../limits.ts';
import { authority, hasForbiddenBytes, isToken, parseLength, Refusal } from './fields.ts';
import type { Collected, ForwardedFields } from './request-fields.ts';
import { collect, keptFields } from './request-fields.ts';

/** How long a message's body is: nothing, `length` bytes, chunks, or until the connection ends. */
export type Framing = 'none' | 'length' | 'chunked' | 'close';

export interface RequestHead {
  readonly method: string;
  /** Origin form or `*`, untouched but for the authority of an absolute form. */
  readonly target: string;
  /** Lower case, without port. */
  readonly host: string;
  /** The authority as the client wrote it. */
  readonly authority: string;
  readonly minor: 0 | 1;
  readonly keepAlive: boolean;
  readonly framing: 'none' | 'length' | 'chunked';
  readonly length: number;
  /** A WebSocket upgrade; all other upgrades are left out. */
  readonly websocket: boolean;
  /** The field as it came, or nothing. */
  readonly accept: string;
  /** The field as it came, or nothing. */
  readonly acceptEncoding: string;
  /** The answer is wanted as the pod gives it (RFC 9111, 5.2.1.6). */
  readonly noTransform: boolean;
  /** It logs the connection in, not itself: no other client may get that connection to the pod. */
  readonly bindsConnection: boolean;
  readonly requestId: string | undefined;
  /** Of browsers, for requests that scripts made; else nothing. */
  readonly origin: string;
  /** Access-Control-Request-Method and -Headers: a browser asks whether it may. */
  readonly preflight: { readonly method: string; readonly headers: string } | undefined;
  readonly grpc: boolean;
  /** What it says of the client it came from; believed of trusted proxies alone. */
  readonly forwarded: ForwardedFields | undefined;
  /** End-to-end fields, each with CRLF, as they are sent on. */
  readonly fields: string;
}

// RFC 9112, 3.2: visible ASCII; a fragment is never sent, and a backslash means `/` to some.
const target = /^[\u0021\u0022\u0024-\u005b\u005d-\u007e]+$/;

/** Parses a head (without the empty line) received from a client. */
export function parseRequestHead(head: string, limits: Limits): RequestHead | Refusal {
  if (hasForbiddenBytes(head)) return new Refusal(400, 'a control character in the head');
  const lines = head.split('\r\n');
  const start = parseRequestLine(lines[0] ?? '', limits);
  if (start instanceof Refusal) return start;
  if (lines.length - 1 > limits.headersMax) return new Refusal(431, 'too many header fields');
  const collected = collect(lines);
  if (collected instanceof Refusal) return collected;
  const host = judgeHost(start, collected.hosts);
  if (host instanceof Refusal) return host;
  const body = judgeBody(start, collected);
  if (body instanceof Refusal) return body;
  const { connection, upgrade } = collected;
  const websocket =
    start.minor === 1 &&
    start.method === 'GET' &&
    body.framing === 'none' &&
    connection.includes('upgrade') &&
    upgrade.toLowerCase() === 'websocket';
  return {
    method: start.method,
    target: start.target,
    minor: start.minor,
    ...host,
    ...body,
    websocket,
    keepAlive:
      start.minor === 1 ? !connection.includes('close') : connection.includes('keep-alive'),
    accept: collected.accept.join(','),
    acceptEncoding: collected.acceptEncoding.join(','),
    noTransform: collected.noTransform,
    bindsConnection: collected.bindsConnection,
    requestId: collected.requestId,
    origin: collected.origin,
    preflight: preflightOf(start, collected),
    grpc: collected.grpc,
    forwarded: collected.forwarded,
    fields: keptFields(collected),
  };
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** The authority of an absolute-form target. */
  readonly absolute: string | undefined;
  readonly minor: 0 | 1;
}

function parseRequestLine(line: string, limits: Limits): RequestLine | Refusal {
  const [method = '', written = '', version = '', ...more] = line.split(' ');
  if (more.length > 0 || !isToken(method)) return new Refusal(400, 'the request line is malformed');
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') {
    return /^HTTP\/\d\.\d$/.test(version)
      ? new Refusal(505, 'only HTTP/1.1 and HTTP/1.0 are spoken here')
      : new Refusal(400, 'the request line is malformed');
  }
  if (method === 'CONNECT') return new Refusal(405, 'this is no forward proxy');
  if (method === 'TRACE') return new Refusal(405, 'TRACE is not passed on');
  if (written.length > limits.targetBytesMax) return new Refusal(414, 'the target is too long');
  if (!target.test(written)) return new Refusal(400, 'the target holds a character it must not');
  return parseTarget(method, written, version === 'HTTP/1.1' ? 1 : 0);
}

/** Origin form, `*`, or absolute form (RFC 9112, 3.2). */
function parseTarget(method: string, written: string, minor: 0 | 1): RequestLine | Refusal {
  if (written.startsWith('/') || (written === '*' && method === 'OPTIONS')) {
    return { method, target: written, absolute: undefined, minor };
  }
  const absolute = /^https?:\/\/([^/?]+)(.*)$/i.exec(written);
  if (!absolute) return new Refusal(400, 'the target is neither a path nor a URL');
  const [, authorityPart = '', rest = ''] = absolute;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return { method, target: path, absolute: authorityPart, minor };
}

function judgeHost(
  start: RequestLine,
  hosts: readonly string[],
): { host: string; authority: string } | Refusal {
  if (hosts.length > 1) return new Refusal(400, 'more than one Host');
  const [written] = hosts;
  if (written === undefined) return new Refusal(400, 'no Host');
  const name = hostOf(written);
  if (name === undefined) return new Refusal(400, 'Host is no host name');
  if (start.absolute !== undefined && start.absolute.toLowerCase() !== written.toLowerCase()) {
    return new Refusal(400, 'the target names another host than Host');
  }
  return { host: name, authority: written };
}

function hostOf(written: string): string | undefined {
  const match = authority.exec(written);
  return match ? (match[1] ?? match[2] ?? '').toLowerCase() : undefined;
}

function judgeBody(
  { minor }: RequestLine,
  { codings, lengths }: Collected,
): { framing: 'none' | 'length' | 'chunked'; length: number } | Refusal {
  if (codings.length > 0) {
    if (minor === 0) return new Refusal(400, 'Transfer-Encoding in HTTP/1.0');
    if (lengths.length > 0) return new Refusal(400, 'both Content-Length and Transfer-Encoding');
    // With spaces around it at most: a TAB is white space to some, part of an unknown coding to others.
    if (codings.length > 1 || !/^ *chunked *$/i.test(codings[0] ?? '')) {
      return new Refusal(501, 'a transfer coding other than chunked');
    }
    return { framing: 'chunked', length: 0 };
  }
  if (lengths.length > 1) return new Refusal(400, 'more than one Content-Length');
  const [written] = lengths;
  if (written === undefined) return { framing: 'none', length: 0 };
  const length = parseLength(written);
  if (length === undefined) return new Refusal(400, 'Content-Length is no length');
  return { framing: 'length', length };
}

function preflightOf(
  { method }: RequestLine,
  { origin, preflightMethod, preflightHeaders }: Collected,
): RequestHead['preflight'] {
  if (method !== 'OPTIONS' || origin === '' || preflightMethod === '') return undefined;
  return { method: preflightMethod, headers: preflightHeaders };
}
