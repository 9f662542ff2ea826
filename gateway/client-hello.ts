import type { Limits } from './limits.ts';

/** What the ClientHello tells before TLS starts; the route follows from it. */
export interface ClientHello {
  /** Lower case; undefined when the client names nobody. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
}

const recordHeaderBytes = 5;
const recordBytesMax = 16_384;
const messageHeaderBytes = 4;
const handshakeRecord = 0x16;
const clientHelloType = 1;
const serverNameExtension = 0;
const alpnExtension = 16;
const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/**
 * Reads the ClientHello (RFC 8446, 4.1.2) as it comes in, in whatever segments and records. Each byte
 * is looked at once: parsing anew with every segment would let 64 KB of one-byte records cost a
 * worker seconds. What does not parse is refused: guessing "no name" would let a client choose
 * another host's TLS terms.
 */
export class ClientHelloReader {
  readonly #bytesMax: number;
  readonly #received = new GrowingBytes();
  readonly #message = new GrowingBytes();
  /** Where the bytes begin that are not taken into the message yet. */
  #at = 0;
  #recordLeft = 0;

  constructor({ clientHelloBytesMax }: Limits) {
    this.#bytesMax = clientHelloBytesMax;
  }

  /** Everything pushed so far: TLS itself wants to read it again. */
  get received(): Buffer {
    return this.#received.bytes;
  }

  push(bytes: Buffer): ClientHello | 'incomplete' | 'refused' {
    this.#received.append(bytes);
    for (;;) {
      const step = this.#recordLeft === 0 ? this.#recordHeader() : this.#recordContent();
      if (step !== 'next') return step;
    }
  }

  /** RFC 8446, 5.1: no record of a handshake is empty, none above 2^14 bytes. */
  #recordHeader(): 'next' | 'incomplete' | 'refused' {
    const header = this.received.subarray(this.#at, this.#at + recordHeaderBytes);
    const [type = handshakeRecord, major = 3] = header;
    if (type !== handshakeRecord || major !== 3 || this.#at > this.#bytesMax) return 'refused';
    if (header.length < recordHeaderBytes) return 'incomplete';
    this.#recordLeft = header.readUInt16BE(3);
    this.#at += recordHeaderBytes;
    return this.#recordLeft === 0 || this.#recordLeft > recordBytesMax ? 'refused' : 'next';
  }

  #recordContent(): ClientHello | 'next' | 'incomplete' | 'refused' {
    const part = this.received.subarray(this.#at, this.#at + this.#recordLeft);
    if (part.length === 0) return 'incomplete';
    this.#message.append(part);
    this.#at += part.length;
    this.#recordLeft -= part.length;
    const message = this.#message.bytes;
    if (message[0] !== clientHelloType) return 'refused';
    if (message.length < messageHeaderBytes) return 'next';
    const wanted = messageHeaderBytes + message.readUIntBE(1, 3);
    if (wanted > this.#bytesMax) return 'refused';
    return message.length < wanted
      ? 'next'
      : parseHello(message.subarray(messageHeaderBytes, wanted));
  }
}

/** Bytes that grow at their end, each copied a bounded number of times, and those that came first not at all. */
class GrowingBytes {
  #store: Buffer = nothing;
  #length = 0;

  get bytes(): Buffer {
    return this.#length === this.#store.length
      ? this.#store
      : this.#store.subarray(0, this.#length);
  }

  append(bytes: Buffer): void {
    // A usual ClientHello comes in one piece. That is nobody else's memory, and is never written to.
    if (this.#length === 0) {
      this.#store = bytes;
      this.#length = bytes.length;
      return;
    }
    const length = this.#length + bytes.length;
    if (length > this.#store.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#store.length, piecesBytesMin));
      this.#store.copy(larger, 0, 0, this.#length);
      this.#store = larger;
    }
    bytes.copy(this.#store, this.#length);
    this.#length = length;
  }
}

const nothing = Buffer.alloc(0);
const piecesBytesMin = 2_048; // one with a post-quantum key share, in pieces

function parseHello(message: Buffer): ClientHello | 'refused' {
  try {
    return readHello(new Reader(message));
  } catch (error) {
    if (error instanceof RangeError) return 'refused';
    throw error;
  }
}

/** Takes pieces off the front; throws RangeError where they are not there. */
class Reader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get empty(): boolean {
    return this.#at === this.#end;
  }

  /** Returns where the piece begins. */
  take(length: number): number {
    const from = this.#at;
    if (this.#end - from < length) throw new RangeError('the ClientHello is cut off');
    this.#at = from + length;
    return from;
  }

  number(bytes: 1 | 2): number {
    return this.#bytes.readUIntBE(this.take(bytes), bytes);
  }

  /** A vector with its length in front. */
  vector(lengthBytes: 1 | 2): Reader {
    const from = this.take(this.number(lengthBytes));
    return new Reader(this.#bytes, from, this.#at);
  }

  text(): string {
    return this.#bytes.toString('latin1', this.#at, this.#end);
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
