import type { Limits } from '../limits.ts';
import { FieldLines, KeptLines } from './field-lines.ts';
import { hopByHop, parseLength } from './fields.ts';
import { moreOptions, ofConnection, without } from './request-fields.ts';
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

/** What the fields said, before it is judged together. */
interface Found {
  lengths: number;
  length: string;
  codings: number;
  coding: string;
  connection: readonly string[];
  upgrade: string;
  /** The lines that the client gets, each with CRLF. */
  kept: string;
}

// Heads are read in one go, so one of each serves all of a worker's connections.
const lines = new FieldLines();
const kept = new KeptLines();

/** The last head of a connection: what is polled or cached often says the same again, and it is read once. */
export class LastAnswer {
  readonly #bytesMax: number;
  #said = '';
  #method = '';
  #head: ResponseHead | undefined;

  constructor({ rememberedHeadBytesMax }: Limits) {
    this.#bytesMax = rememberedHeadBytesMax;
  }

  /** The same as `parseResponseHead` of the lines that stand in `text` up to `end`. */
  read(text: string, end: number, requestMethod: string): ResponseHead | undefined {
    const said = text.slice(0, end);
    if (said === this.#said && requestMethod === this.#method) return this.#head;
    const head = parseResponseHead(said, requestMethod);
    // A part of a text keeps all of it in memory.
    const remembered = text.length <= this.#bytesMax;
    this.#said = remembered ? said : '';
    this.#head = remembered ? head : undefined;
    this.#method = requestMethod;
    return head;
  }
}

/**
 * Parses a head from an upstream: the status line and the field lines, each with CRLF. Undefined when
 * it cannot be passed on without guessing (RFC 9112, 6.3): the caller answers 502 and never uses the
 * connection again.
 */
export function parseResponseHead(text: string, requestMethod: string): ResponseHead | undefined {
  const startEnd = text.indexOf('\r\n') + 2;
  const start = startOf(text.slice(0, startEnd));
  if (!start) return undefined;
  const { status, minor } = start;
  const found = collect(text, startEnd, neverHasBody(status));
  // RFC 9112, 6.1: a coding in HTTP/1.0 is faulty, whatever else it says.
  if (!found || (minor === 0 && found.codings > 0)) return undefined;
  const length = judgeLength(found);
  if (length === undefined) return undefined;
  const bodiless = requestMethod === 'HEAD' || status === 304 || neverHasBody(status);
  const framing = bodiless ? 'none' : framingOf(found, length);
  const { connection } = found;
  return {
    status,
    framing,
    length: framing === 'length' ? length : 0,
    keepAlive:
      framing !== 'close' &&
      (minor === 1 ? !connection.includes('close') : connection.includes('keep-alive')),
    websocket: found.upgrade !== '' && found.upgrade.toLowerCase() === 'websocket',
    text: `${start.text}${found.kept}`,
  };
}

interface Start {
  readonly status: number;
  readonly minor: number;
  /** As the client gets it. */
  readonly text: string;
}

const usual: Start = { status: 200, minor: 1, text: 'HTTP/1.1 200 OK\r\n' };
const startLine = /^HTTP\/1\.[01] [1-5]\d\d(?: [\t\u0020-\u007e\u0080-\u00ff]*)?\r\n$/;
const codeAt = 'HTTP/1.1 '.length;
const zero = 0x30;

function startOf(line: string): Start | undefined {
  if (line === usual.text) return usual;
  if (!startLine.test(line)) return undefined;
  const code = line.slice(codeAt, codeAt + 3);
  const reason = line.slice(codeAt + 4, -2);
  return {
    status: Number(code),
    minor: line.charCodeAt('HTTP/1.'.length) - zero,
    text: `HTTP/1.1 ${code} ${reason}\r\n`,
  };
}

function collect(text: string, from: number, bodiless: boolean): Found | undefined {
  const found: Found = {
    lengths: 0,
    length: '',
    codings: 0,
    coding: '',
    connection: none,
    upgrade: '',
    kept: '',
  };
  lines.begin(text, from);
  kept.begin(text, from);
  while (lines.next()) {
    const { name } = lines;
    if (name === '' || passes(name, found, bodiless)) kept.keep(lines);
  }
  if (lines.malformed) return undefined;
  found.kept = kept.take();
  if (found.connection.some((name) => !ofConnection.has(name))) {
    found.kept = without(
      found.connection.filter((name) => !framingNames.has(name)),
      found.kept,
    );
  }
  return found;
}

/** Notes what a field says; whether it is for the client too. */
function passes(name: string, found: Found, bodiless: boolean): boolean {
  switch (name) {
    case 'content-length':
      found.lengths += 1;
      found.length = lines.value;
      return !bodiless;
    case 'transfer-encoding':
      found.codings += 1;
      found.coding = lines.rawValue;
      return !bodiless;
    case 'connection':
      found.connection = moreOptions(found.connection, lines.value);
      return false;
    case 'upgrade':
      found.upgrade = lines.value;
      return false;
    default:
      return !hopByHop.has(name);
  }
}

const none: readonly string[] = [];

// Connection may name further fields of the pod's hop; not those that tell where the body ends.
const framingNames: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

/** RFC 9110, 8.6 and RFC 9112, 6.1: with a framing field, sloppy clients would wait for a body. */
const neverHasBody = (status: number): boolean => status < 200 || status === 204;

/** What Content-Length says, 0 without it; undefined when the fields contradict each other. */
function judgeLength({ codings, coding, lengths, length }: Found): number | undefined {
  if (codings + lengths > 1) return undefined;
  // Passed on verbatim, so with spaces at most: `chunked<TAB>` is read in two ways by two parsers.
  if (codings === 1 && !/^ *chunked *$/i.test(coding)) return undefined;
  return lengths === 0 ? 0 : parseLength(length);
}

function framingOf({ codings, lengths }: Found, length: number): Framing {
  if (codings === 1) return 'chunked';
  if (lengths === 0) return 'close';
  return length === 0 ? 'none' : 'length';
}
