import type { Limits } from './limits.ts';

/** What the ClientHello tells before TLS starts; the route follows from it. */
export interface ClientHello {
  /** Lower case; undefined when the client names nobody. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
}

const recordHeaderBytes = 5;
const handshakeRecord = 0x16;
const clientHelloType = 1;
const serverNameExtension = 0;
const alpnExtension = 16;
const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/**
 * Reads the ClientHello (RFC 8446, 4.1.2) from the first bytes of a connection, whatever segments
 * and records it comes in. What does not parse is refused: guessing "no name" would let a client
 * choose another host's TLS terms.
 */
export function parseClientHello(
  bytes: Buffer,
  limits: Limits,
): ClientHello | 'incomplete' | 'refused' {
  const message = joinRecords(bytes, limits);
  if (typeof message === 'string') return message;
  try {
    return readHello(new Reader(message));
  } catch (error) {
    if (error instanceof RangeError) return 'refused';
    throw error;
  }
}

/** The handshake message of as many records as it takes. */
function joinRecords(bytes: Buffer, limits: Limits): Buffer | 'incomplete' | 'refused' {
  let message: Buffer = Buffer.alloc(0);
  let at = 0;
  while (at <= limits.clientHelloBytesMax) {
    const record = readRecord(bytes, at);
    if (typeof record === 'string') return record;
    at += recordHeaderBytes + record.length;
    message = Buffer.concat([message, record]);
    if (message[0] !== clientHelloType) return 'refused';
    if (message.length < 4) continue;
    const wanted = 4 + message.readUIntBE(1, 3);
    if (wanted > limits.clientHelloBytesMax) return 'refused';
    if (message.length >= wanted) return message.subarray(4, wanted);
  }
  return 'refused';
}

/** The content of the record at `at`. RFC 8446, 5.1: none is empty, none above 2^14 bytes. */
function readRecord(bytes: Buffer, at: number): Buffer | 'incomplete' | 'refused' {
  const [type = handshakeRecord, major = 3] = bytes.subarray(at, at + 2);
  if (type !== handshakeRecord || major !== 3) return 'refused';
  const start = at + recordHeaderBytes;
  if (bytes.length < start) return 'incomplete';
  const length = bytes.readUInt16BE(at + 3);
  if (length === 0 || length > 16_384) return 'refused';
  return bytes.length < start + length ? 'incomplete' : bytes.subarray(start, start + length);
}

/** Takes pieces off the front; throws RangeError where they are not there. */
class Reader {
  #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get empty(): boolean {
    return this.#bytes.length === 0;
  }

  take(length: number): Buffer {
    if (this.#bytes.length < length) throw new RangeError('the ClientHello is cut off');
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  number(bytes: 1 | 2): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** A vector with its length in front. */
  vector(lengthBytes: 1 | 2): Reader {
    return new Reader(this.take(this.number(lengthBytes)));
  }

  text(): string {
    return this.#bytes.toString('latin1');
  }
}

function readHello(hello: Reader): ClientHello {
  hello.take(2 + 32); // version and random
  hello.vector(1); // session id
  hello.vector(2); // cipher suites
  hello.vector(1); // compression methods
  let serverName: string | undefined;
  let alpn: string[] = [];
  if (hello.empty) return { serverName, alpn };
  const extensions = hello.vector(2);
  if (!hello.empty) throw new RangeError('bytes behind the extensions');
  const seen = new Set<number>();
  while (!extensions.empty) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (seen.has(type)) throw new RangeError('an extension twice (RFC 8446, 4.2)');
    seen.add(type);
    if (type === serverNameExtension) serverName = readServerName(body);
    if (type === alpnExtension) alpn = readAlpn(body);
  }
  return { serverName, alpn };
}

/** RFC 6066, 3: one name, of type host_name. */
function readServerName(body: Reader): string {
  const list = body.vector(2);
  const type = list.number(1);
  const name = list.vector(2).text().toLowerCase();
  if (type !== 0 || !list.empty || !body.empty)
    throw new RangeError('the server name is malformed');
  if (!hostName.test(name)) throw new RangeError('the server name is no host name');
  return name;
}

function readAlpn(body: Reader): string[] {
  const list = body.vector(2);
  const names: string[] = [];
  while (!list.empty) names.push(list.vector(1).text());
  return names;
}
