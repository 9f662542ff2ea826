import net from 'node:net';
import tls from 'node:tls';

/** Whom bytes are passed on to: while it holds any, they are not its client's to overwrite. */
interface Borrower {
  readonly writableLength: number;
}

type Reader = (bytes: Buffer) => void;

const recordBytesMax = 16_384; // RFC 8446, 5.1
// Below that a copy is cheaper than memory of its own for each read, and a slow pod holds less of it.
const lentBytesMin = 4_096;
// What is read is mostly used up before anything else is read: no connection needs memory for it.
const shared = Buffer.allocUnsafeSlow(recordBytesMax);

/**
 * Node reads into memory of its caller's only for sockets that it makes (`onread` of `net.connect`), not
 * for a TLSSocket around one, though the same handle serves both. So what it keeps that under is looked
 * up by name; a Node that has other names reads as usual, into memory of its own for each read.
 */
const names = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
  Object.getOwnPropertySymbols(new net.Socket()).find(({ description }) => description === name),
);

/** Which memory the read that was just told of leaves to the next, where that is another. */
let next: Buffer | undefined;

function takeNext(): Buffer | undefined {
  const memory = next;
  next = undefined;
  return memory;
}

function received(this: ClientSocket, length: number): boolean {
  return this.received(length);
}

function readIntoShared(socket: ClientSocket): void {
  const handle: unknown = Reflect.get(socket, '_handle');
  const useUserBuffer: unknown = Reflect.get(Object(handle), 'useUserBuffer');
  if (typeof useUserBuffer !== 'function' || names.includes(undefined)) return;
  for (const [at, value] of [shared, received, takeNext].entries()) {
    Reflect.set(socket, names[at] ?? '', value);
  }
  Reflect.apply(useUserBuffer, handle, [shared]);
}

/**
 * A client's TLS connection whose bytes can go straight to a reader. The queue and the events of a
 * stream, and memory of its own for each read, cost a small request as much as reading its head, and
 * serve nothing where every byte is used as soon as it is there.
 */
export class ClientSocket extends tls.TLSSocket {
  #reader: Reader | undefined;
  #held = false;
  /** Where Node puts what it reads. */
  #memory = shared;
  /** Somebody needs much of what was just read for longer than the call; and has the very memory. */
  #lent = false;
  #given = false;
  #borrower: Borrower | undefined;

  constructor(raw: net.Socket, options: tls.TLSSocketOptions) {
    super(raw, options);
    readIntoShared(this);
  }

  /**
   * What is read goes to `reader`, also the little that comes after a `pause`; the end is an event
   * still. The bytes are good for the call only, unless it lends them.
   */
  readTo(reader: Reader): void {
    this.#reader = reader;
  }

  /** It is a stream like others again. */
  readAsStream(): void {
    this.#reader = undefined;
    if (this.#held) this.#go();
  }

  /**
   * The same bytes, good until `to` has written them, or for ever where nobody can tell. Who is lent
   * much reads into memory of his own, which is given away only while a borrower is slow.
   */
  lend(bytes: Buffer, to?: Borrower): Buffer {
    if (bytes.buffer !== this.#memory.buffer) return bytes;
    if (bytes.length < lentBytesMin) return Buffer.from(bytes);
    this.#lent = true;
    if (this.#memory === shared || this.#given) return Buffer.from(bytes);
    this.#borrower = to;
    this.#given = true;
    return bytes;
  }

  /** Called by Node where it cannot read into memory of ours; returns whether it is to go on reading. */
  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (!this.#reader || chunk === null) return super.push(chunk, encoding);
    this.#reader(chunk);
    return !this.#held;
  }

  override pause(): this {
    if (!this.#reader) return super.pause();
    this.#held = true;
    return this;
  }

  override resume(): this {
    if (!this.#reader) return super.resume();
    if (this.#held) this.#go();
    return this;
  }

  #go(): void {
    this.#held = false;
    // oxlint-disable-next-line no-underscore-dangle -- so Node calls what makes a stream read on
    this._read(0);
  }

  /** Called by Node with how much it read into `#memory`; returns as `push` does. */
  received(length: number): boolean {
    this.#lent = false;
    this.#given = false;
    const bytes = this.#memory.subarray(0, length);
    if (!this.#reader) return super.push(Buffer.from(bytes));
    try {
      this.#reader(bytes);
    } finally {
      this.#chooseMemory();
    }
    return !this.#held;
  }

  /** Nothing is said where the memory stays. */
  #chooseMemory(): void {
    const before = this.#memory;
    if (!this.#lent) this.#memory = shared;
    else if (before === shared || (this.#given && this.#borrower?.writableLength !== 0)) {
      this.#memory = Buffer.allocUnsafeSlow(recordBytesMax);
    }
    next = this.#memory === before ? undefined : this.#memory;
  }
}

/** Reads from any client, the fast way where there is one: then bytes are good for the call only. */
export function readFrom(socket: net.Socket, reader: Reader): void {
  if (socket instanceof ClientSocket) socket.readTo(reader);
  else socket.on('data', reader);
}

/** Makes what `readFrom` gave last: until `to` has written it, or for good. See `ClientSocket.lend`. */
export type Lend = (bytes: Buffer, to?: Borrower) => Buffer;

export const lender = (socket: net.Socket): Lend =>
  socket instanceof ClientSocket ? (bytes, to) => socket.lend(bytes, to) : (bytes) => bytes;

/** Undoes `readFrom`: the next reader listens for events, which nobody else does any more. */
export function readNoMore(socket: net.Socket): void {
  for (const event of ['data', 'drain', 'end']) socket.removeAllListeners(event);
  if (socket instanceof ClientSocket) socket.readAsStream();
}
