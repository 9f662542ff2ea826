import { hopByHop, isForwarding, listOf, Refusal, splitField } from './fields.ts';

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

/** What the fields said, before the parts are judged together. */
export interface Collected {
  hosts: string[];
  lengths: string[];
  codings: string[];
  connection: string[];
  upgrade: string;
  accept: string[];
  acceptEncoding: string[];
  noTransform: boolean;
  bindsConnection: boolean;
  requestId: string | undefined;
  origin: string;
  preflightMethod: string;
  preflightHeaders: string;
  grpc: boolean;
  forwarded: ForwardedFields | undefined;
  kept: { name: string; line: string }[];
}

/** Goes through the lines behind the first. */
export function collect(lines: readonly string[]): Collected | Refusal {
  const collected: Collected = {
    hosts: [],
    lengths: [],
    codings: [],
    connection: [],
    upgrade: '',
    accept: [],
    acceptEncoding: [],
    noTransform: false,
    bindsConnection: false,
    requestId: undefined,
    origin: '',
    preflightMethod: '',
    preflightHeaders: '',
    grpc: false,
    forwarded: undefined,
    kept: [],
  };
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const field = splitField(line);
    if (!field) return new Refusal(400, 'a header line is malformed');
    take(collected, field.name, field.value, line);
  }
  return collected;
}

function take(collected: Collected, name: string, value: string, line: string): void {
  switch (name) {
    case 'host':
      collected.hosts.push(value);
      return;
    case 'content-length':
      collected.lengths.push(value);
      return;
    case 'transfer-encoding':
      collected.codings.push(line.slice(name.length + 1));
      return;
    case 'connection':
      collected.connection.push(...listOf(value));
      return;
    case 'upgrade':
      collected.upgrade = value;
      return;
    case 'x-request-id':
      if (requestId.test(value)) collected.requestId = value;
      return;
    default:
      // Pods behind CGI and WSGI read `_` as `-`: such a name would be another way to write ours.
      if (hopByHop.has(name) || name.includes('_')) return;
      if (isForwarding(name)) {
        noteForwarding(collected, name, value);
        return;
      }
  }
  note(collected, name, value);
  collected.kept.push({ name, line });
}

/** What we want to know of the fields that are passed on. */
function note(collected: Collected, name: string, value: string): void {
  if (name === 'accept') collected.accept.push(value);
  else if (name === 'accept-encoding') collected.acceptEncoding.push(value);
  else if (name === 'cache-control') collected.noTransform ||= /no-transform/i.test(value);
  else if (name === 'authorization') collected.bindsConnection ||= connectionLogin.test(value);
  else if (name === 'origin') collected.origin = value;
  else if (name === 'content-type') collected.grpc = grpcType.test(value);
  else if (name.startsWith('access-control-request-')) notePreflight(collected, name, value);
}

function notePreflight(collected: Collected, name: string, value: string): void {
  if (name === 'access-control-request-method') collected.preflightMethod = value;
  else if (name === 'access-control-request-headers') collected.preflightHeaders = value;
}

function noteForwarding(collected: Collected, name: string, value: string): void {
  collected.forwarded ??= {};
  if (name === 'x-forwarded-for') {
    const before = collected.forwarded.for;
    collected.forwarded.for = before === undefined ? value : `${before}, ${value}`;
  } else if (name === 'x-forwarded-proto') collected.forwarded.proto = value;
  else if (name === 'x-forwarded-host') collected.forwarded.host = value;
  else if (name === 'x-forwarded-port') collected.forwarded.port = value;
}

/** The end-to-end fields, each with CRLF. */
export function keptFields({ kept, connection }: Collected): string {
  let fields = '';
  for (const { name, line } of kept) {
    // Connection may name further fields of this hop; ours are added later, beyond its reach.
    if (connection.length === 0 || !connection.includes(name)) fields += `${line}\r\n`;
  }
  return fields;
}
