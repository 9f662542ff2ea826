import { FieldLines, KeptLines } from './field-lines.ts';
import { hopByHop, listOf, Refusal } from './fields.ts';

const connectionLogin = /^(ntlm|negotiate)(\s|$)/i; // RFC 4559, 6
const grpcType = /^application\/grpc(?:[+;\s]|$)/i; // not gRPC-Web, whose answers are framed otherwise
const requestId = /^[\w.-]{1,64}$/;

/** The X-Forwarded fields of a request, as they came. */
export interface ForwardedFields {
  for?: string;
  proto?: string;
  host?: string;
  port?: string;
}

/** What the field lines of one request said, before the parts are judged together. */
export class RequestFields {
  hosts = 0;
  host = '';
  lengths = 0;
  length = '';
  codings = 0;
  coding = '';
  connection: readonly string[] = none;
  upgrade = '';
  accept = '';
  acceptEncoding = '';
  noTransform = false;
  bindsConnection = false;
  requestId: string | undefined = undefined;
  origin = '';
  preflightMethod = '';
  preflightHeaders = '';
  grpc = false;
  forwarded: ForwardedFields | undefined = undefined;
  /** The end-to-end fields, each with CRLF. */
  kept = '';

  take(lines: FieldLines, kept: KeptLines): void {
    const { name } = lines;
    // Pods behind CGI and WSGI read `_` as `-`: such a name would be another way to write ours.
    if (lines.underscored) return;
    if (name === '' && !lines.begins('x-forwarded-')) kept.keep(lines);
    else if (!this.#ofThisHop(name, lines)) {
      this.#note(name, lines.value);
      kept.keep(lines);
    }
  }

  /** Whether it ends here: it is about this connection, or what we say ourselves. */
  #ofThisHop(name: string, lines: FieldLines): boolean {
    switch (name) {
      case 'host':
        this.hosts += 1;
        this.host = lines.value;
        return true;
      case 'content-length':
        this.lengths += 1;
        this.length = lines.value;
        return true;
      case 'transfer-encoding':
        this.codings += 1;
        this.coding = lines.rawValue;
        return true;
      case 'connection':
        this.connection = moreOptions(this.connection, lines.value);
        return true;
      case 'upgrade':
        this.upgrade = lines.value;
        return true;
      case 'x-request-id':
        if (requestId.test(lines.value)) this.requestId = lines.value;
        return true;
      case '':
        this.#noteForwarding(lines.anyName, lines.value);
        return true;
      default:
        return hopByHop.has(name) || name === 'forwarded' || name === 'x-real-ip';
    }
  }

  /** What we want to know of the fields that are passed on. */
  #note(name: string, value: string): void {
    switch (name) {
      case 'accept':
        this.accept = joined(this.accept, value);
        return;
      case 'accept-encoding':
        this.acceptEncoding = joined(this.acceptEncoding, value);
        return;
      case 'cache-control':
        this.noTransform ||= /no-transform/i.test(value);
        return;
      case 'authorization':
        this.bindsConnection ||= connectionLogin.test(value);
        return;
      case 'origin':
        this.origin = value;
        return;
      case 'content-type':
        this.grpc = grpcType.test(value);
        return;
      case 'access-control-request-method':
        this.preflightMethod = value;
        return;
      case 'access-control-request-headers':
        this.preflightHeaders = value;
    }
  }

  #noteForwarding(name: string, value: string): void {
    this.forwarded ??= {};
    if (name === 'x-forwarded-for') {
      const before = this.forwarded.for;
      this.forwarded.for = before === undefined ? value : `${before}, ${value}`;
    } else if (name === 'x-forwarded-proto') this.forwarded.proto = value;
    else if (name === 'x-forwarded-host') this.forwarded.host = value;
    else if (name === 'x-forwarded-port') this.forwarded.port = value;
  }
}

const none: readonly string[] = [];

const joined = (before: string, value: string): string =>
  before === '' ? value : `${before},${value}`;

const keepAliveOnly: readonly string[] = ['keep-alive'];
const closeOnly: readonly string[] = ['close'];

/** The options of Connection (RFC 9110, 7.6.1), with those of one more line. */
export function moreOptions(before: readonly string[], value: string): readonly string[] {
  if (before.length > 0) return [...before, ...listOf(value)];
  if (value === 'keep-alive') return keepAliveOnly;
  return value === 'close' ? closeOnly : listOf(value);
}

// Heads are read in one go, so one of each serves all of a worker's connections.
const lines = new FieldLines();
const kept = new KeptLines();

/** Reads field lines, each with CRLF. */
export function collect(text: string, fieldsMax: number): RequestFields | Refusal {
  const fields = new RequestFields();
  let count = 0;
  lines.begin(text, 0);
  kept.begin(text, 0);
  while (lines.next()) {
    count += 1;
    if (count > fieldsMax) return new Refusal(431, 'too many header fields');
    fields.take(lines, kept);
  }
  if (lines.malformed) return new Refusal(400, 'a header line is malformed');
  fields.kept = kept.take();
  if (fields.connection.some((name) => !ofConnection.has(name))) {
    fields.kept = without(fields.connection, fields.kept);
  }
  return fields;
}

export const ofConnection: ReadonlySet<string> = new Set(['close', ...hopByHop]);

/** Connection may name further fields of this hop; ours are added later, beyond its reach. */
export function without(names: readonly string[], text: string): string {
  lines.begin(text, 0);
  kept.begin(text, 0);
  while (lines.next()) if (!names.includes(lines.anyName)) kept.keep(lines);
  return kept.take();
}
