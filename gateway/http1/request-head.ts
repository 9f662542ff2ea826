import type { Limits } from '../limits.ts';
import { authority, isToken, parseLength, Refusal } from './fields.ts';
import type { ForwardedFields, RequestFields } from './request-fields.ts';
import { collect } from './request-fields.ts';

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

/** A connection's last request: clients often say the same again, mostly in all fields, and it is read once. */
export class LastFields {
  #read: ReadFields | undefined;
  #text = '';
  #end = 0;
  #head: RequestHead | undefined;

  /** The head that stood in the same text, as a value of its own. */
  again(text: string, end: number): RequestHead | undefined {
    return this.#head && end === this.#end && text === this.#text ? { ...this.#head } : undefined;
  }

  /** Keeps the head of a text, if its fields are kept: no more memory than they take. */
  keep(text: string, end: number, head: RequestHead): void {
    this.#head = this.#read ? head : undefined;
    this.#text = this.#read ? text : '';
    this.#end = end;
  }

  /** Reads field lines, which are a part of a text of `textLength` characters. */
  read(lines: string, textLength: number, limits: Limits): ReadFields | Refusal {
    if (this.#read?.text === lines) return this.#read;
    const read = readFields(lines, limits);
    // A part of a text keeps all of it in memory.
    const remembered = textLength <= limits.rememberedHeadBytesMax && !(read instanceof Refusal);
    this.#read = remembered ? read : undefined;
    return read;
  }
}

interface ReadFields {
  readonly text: string;
  readonly fields: RequestFields;
  readonly host: string;
}

/**
 * Parses a head received from a client: the start line and the field lines, each with CRLF, that
 * stand in `text` up to `end`.
 */
export function parseRequestHead(
  text: string,
  limits: Limits,
  { end = text.length, last = new LastFields() }: { end?: number; last?: LastFields } = {},
): RequestHead | Refusal {
  const again = last.again(text, end);
  if (again) return again;
  const start = parseRequestLine(text, limits);
  if (start instanceof Refusal) return start;
  const read = last.read(text.slice(start.end, end), text.length, limits);
  if (read instanceof Refusal) return read;
  const { fields, host } = read;
  if (start.absolute !== undefined && start.absolute.toLowerCase() !== fields.host.toLowerCase()) {
    return new Refusal(400, 'the target names another host than Host');
  }
  const framing = judgeFraming(start, fields);
  if (framing instanceof Refusal) return framing;
  const length = framing === 'length' ? parseLength(fields.length) : 0;
  if (length === undefined) return new Refusal(400, 'Content-Length is no length');
  const { connection } = fields;
  const head: RequestHead = {
    method: start.method,
    target: start.target,
    host,
    authority: fields.host,
    minor: start.minor,
    keepAlive:
      start.minor === 1 ? !connection.includes('close') : connection.includes('keep-alive'),
    framing,
    length,
    websocket: framing === 'none' && asksForWebSocket(start, fields),
    accept: fields.accept,
    acceptEncoding: fields.acceptEncoding,
    noTransform: fields.noTransform,
    bindsConnection: fields.bindsConnection,
    requestId: fields.requestId,
    origin: fields.origin,
    preflight: preflightOf(start, fields),
    grpc: fields.grpc,
    forwarded: fields.forwarded,
    fields: fields.kept,
  };
  last.keep(text, end, head);
  return head;
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** The authority of an absolute-form target. */
  readonly absolute: string | undefined;
  readonly minor: 0 | 1;
  /** Where the next line begins. */
  readonly end: number;
}

const malformedLine = new Refusal(400, 'the request line is malformed');

function parseRequestLine(text: string, limits: Limits): RequestLine | Refusal {
  const lineEnd = text.indexOf('\r\n');
  const methodEnd = text.indexOf(' ');
  const targetEnd = text.indexOf(' ', methodEnd + 1);
  if (methodEnd < 1 || targetEnd < 0 || lineEnd < targetEnd) return malformedLine;
  const method = text.slice(0, methodEnd);
  if (!isToken(method)) return malformedLine;
  const version = text.slice(targetEnd + 1, lineEnd);
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') {
    return /^HTTP\/\d\.\d$/.test(version)
      ? new Refusal(505, 'only HTTP/1.1 and HTTP/1.0 are spoken here')
      : malformedLine;
  }
  if (method === 'CONNECT') return new Refusal(405, 'this is no forward proxy');
  if (method === 'TRACE') return new Refusal(405, 'TRACE is not passed on');
  const written = text.slice(methodEnd + 1, targetEnd);
  if (written.length > limits.targetBytesMax) return new Refusal(414, 'the target is too long');
  if (!target.test(written)) return new Refusal(400, 'the target holds a character it must not');
  const minor = version === 'HTTP/1.1' ? 1 : 0;
  return parseTarget(method, written, { minor, end: lineEnd + 2 });
}

/** Origin form, `*`, or absolute form (RFC 9112, 3.2). */
function parseTarget(
  method: string,
  written: string,
  { minor, end }: Pick<RequestLine, 'minor' | 'end'>,
): RequestLine | Refusal {
  if (written.startsWith('/') || (written === '*' && method === 'OPTIONS')) {
    return { method, target: written, absolute: undefined, minor, end };
  }
  const absolute = /^https?:\/\/([^/?]+)(.*)$/i.exec(written);
  if (!absolute) return new Refusal(400, 'the target is neither a path nor a URL');
  const [, authorityPart = '', rest = ''] = absolute;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return { method, target: path, absolute: authorityPart, minor, end };
}

function readFields(text: string, limits: Limits): ReadFields | Refusal {
  const fields = collect(text, limits.headersMax);
  if (fields instanceof Refusal) return fields;
  if (fields.hosts > 1) return new Refusal(400, 'more than one Host');
  if (fields.hosts === 0) return new Refusal(400, 'no Host');
  const host = hostOf(fields.host);
  if (host === undefined) return new Refusal(400, 'Host is no host name');
  return { text, fields, host };
}

function hostOf(written: string): string | undefined {
  const match = authority.exec(written);
  return match ? (match[1] ?? match[2] ?? '').toLowerCase() : undefined;
}

function judgeFraming(
  { minor }: RequestLine,
  { codings, coding, lengths }: RequestFields,
): 'none' | 'length' | 'chunked' | Refusal {
  if (codings > 0) {
    if (minor === 0) return new Refusal(400, 'Transfer-Encoding in HTTP/1.0');
    if (lengths > 0) return new Refusal(400, 'both Content-Length and Transfer-Encoding');
    // With spaces around it at most: a TAB is white space to some, part of an unknown coding to others.
    if (codings > 1 || !/^ *chunked *$/i.test(coding)) {
      return new Refusal(501, 'a transfer coding other than chunked');
    }
    return 'chunked';
  }
  if (lengths > 1) return new Refusal(400, 'more than one Content-Length');
  return lengths === 0 ? 'none' : 'length';
}

const asksForWebSocket = (
  { method, minor }: RequestLine,
  { connection, upgrade }: RequestFields,
): boolean =>
  minor === 1 &&
  method === 'GET' &&
  upgrade.toLowerCase() === 'websocket' &&
  connection.includes('upgrade');

function preflightOf(
  { method }: RequestLine,
  { origin, preflightMethod, preflightHeaders }: RequestFields,
): RequestHead['preflight'] {
  if (method !== 'OPTIONS' || origin === '' || preflightMethod === '') return undefined;
  return { method: preflightMethod, headers: preflightHeaders };
}
