import type net from 'node:net';
import type { SecureContext } from 'node:tls';
import tls from 'node:tls';
import { QuickWriter } from './quick-writer.ts';
import { readInto } from './read-into.ts';
import { toHold } from './to-hold.ts';

/** Whom bytes are passed on to: while it holds any, they are not its client's to overwrite. */
interface Borrower {
  readonly writableLength: number;
}

export interface Reader {
  /** Bytes are good for the call only; a client's are made to last by `ClientSocket.lend`. */
  received(bytes: Buffer): void;
}

/**
 * Whoever a connection with a client is for, told by method: thousands of idle connections have no
 * closures of their own.
 */
export interface SocketUser extends Reader {
  /** It takes bytes again. */
  drained(): void;
  /** The client sends no more. */
  ended(): void;
  /** The last of what was written has left. */
  finished?(): void;
  closed(): void;
}

type Done = (error?: Error | null) => void;
type Chunks = { chunk: unknown; encoding: BufferEncoding }[];

export interface ServerTerms {
  readonly secureContext: SecureContext;
  /** To choose from, best first; undefined leaves the extension unanswered. */
  readonly alpn: readonly string[] | undefined;
}

/** For sockets whose 'close' says enough. */
export const ignore = (): void => undefined;

const recordBytesMax = 16_384; // RFC 8446, 5.1
// Below that a copy is cheaper than memory of its own for each read, and a slow pod holds less of it.
const lentBytesMin = 4_096;
// What is read is mostly used up before anything else is read: no connection needs memory for it.
const shared = Buffer.allocUnsafeSlow(recordBytesMax);

let seen = shared;

/** Its first bytes. Requests are often as long as the one before, and a view costs more than to look. */
function ofShared(length: number): Buffer {
  if (seen.length !== length) seen = shared.subarray(0, length);
  return seen;
}

/** Which memory the read that was just told of leaves to the next, where that is another. */
let next: Buffer | undefined;

function takeNext(): Buffer | undefined {
  const memory = next;
  next = undefined;
  return memory;
}

function filled(this: ClientSocket, length: number): boolean {
  return this.filled(length);
}

/**
 * A client's TLS connection whose bytes can go straight to a reader. The queue and the events of a
 * stream, and memory of its own for each read, cost a small request as much as reading its head, and
 * serve nothing where every byte is used as soon as it is there. One that leaves in the middle of the
 * handshake is closed at once: it has nothing left to hear.
 */
export class ClientSocket extends tls.TLSSocket {
  readonly raw: net.Socket;
  user: SocketUser | undefined;
  #reader: Reader | undefined;
  #held = false;
  /** Where Node puts what it reads. */
  #memory = shared;
  /** Somebody needs much of what was just read for longer than the call; and has the very memory. */
  #lent = false;
  #given = false;
  #borrower: Borrower | undefined;
  readonly #texts: QuickWriter;

  /** Ends TLS on `raw`, which it closes with itself. */
  constructor(raw: net.Socket, { secureContext, alpn }: ServerTerms) {
    super(raw, {
      isServer: true,
      secureContext,
      ...(alpn ? { ALPNProtocols: [...alpn] } : {}),
    });
    readInto(shared, this, { filled, takeNext });
    this.#texts = new QuickWriter(this);
    this.raw = raw;
    this.on('error', ignore);
    this.on('_tlsError', leave);
    this.on('end', leave);
    this.on('close', closed);
  }

  /** The handshake is done: from now on an end is its user's business. */
  established(): void {
    this.off('end', leave);
  }

  /** From here on all that happens goes to `user`, bytes as in `readTo`. */
  serve(user: SocketUser): void {
    this.user = user;
    this.#reader = user;
    this.on('drain', drained);
    this.on('end', ended);
    this.on('finish', finished);
  }

  /** What is read goes to `reader`, also the little that comes after a `pause`; the end is an event still. */
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
    const fast = to?.writableLength === 0;
    if (bytes.length < lentBytesMin) return fast ? Buffer.from(bytes) : toHold(bytes);
    this.#lent = true;
    if (this.#memory === shared || this.#given) return toHold(bytes);
    this.#borrower = to;
    this.#given = true;
    return bytes;
  }

  /** Nothing waits to be written, or is under way. */
  get takesAtOnce(): boolean {
    return this.writableLength === 0 && this.writableCorked === 0 && this.#texts.done;
  }

  /** Writes a text of latin1. */
  writeText(text: string): void {
    this.#texts.write(text);
  }

  // TLS does one write at a time, so those of the stream and its end wait for texts.
  // oxlint-disable no-underscore-dangle -- so Node calls them

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    if (this.#texts.done) super._write(chunk, encoding, done);
    else this.#texts.whenDone(() => super._write(chunk, encoding, done));
  }

  override _writev(chunks: Chunks, done: Done): void {
    this.#texts.whenDone(() => super._writev?.(chunks, done));
  }

  override _final(done: Done): void {
    this.#texts.whenDone(() => super._final(done));
  }
  // oxlint-enable no-underscore-dangle

  /** Called by Node where it cannot read into memory of ours; returns whether it is to go on reading. */
  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (!this.#reader || chunk === null) return super.push(chunk, encoding);
    this.#reader.received(chunk);
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
  filled(length: number): boolean {
    this.#lent = false;
    this.#given = false;
    const bytes = this.#memory === shared ? ofShared(length) : this.#memory.subarray(0, length);
    if (!this.#reader) return super.push(toHold(bytes));
    try {
      this.#reader.received(bytes);
    } catch (error) {
      // Node does not hear which memory is next: another read would take others' bytes for its own.
      this.destroy();
      throw error;
    }
    this.#chooseMemory();
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

// Listeners that all connections share: Node calls them with the socket as `this`.

function leave(this: ClientSocket): void {
  this.destroy();
}

function drained(this: ClientSocket): void {
  this.user?.drained();
}

function ended(this: ClientSocket): void {
  this.user?.ended();
}

function finished(this: ClientSocket): void {
  this.user?.finished?.();
}

function closed(this: ClientSocket): void {
  this.raw.destroy();
  this.user?.closed();
}

/**
 * What is written now is encrypted before `write` returns, so that its memory may be used again: TLS
 * stands, and no write waits (nobody writes nothing, which would wait without being counted).
 */
export const takesAtOnce = (socket: net.Socket): boolean =>
  socket instanceof ClientSocket && socket.takesAtOnce;

/** Writes a text of latin1, the fast way where there is one. */
export function writeText(socket: net.Socket, text: string): void {
  if (socket instanceof ClientSocket) socket.writeText(text);
  else socket.write(text, 'latin1');
}

/** All that happens on a client's connection goes to `user`, the fast way where there is one. */
export function serve(socket: net.Socket, user: SocketUser): void {
  if (socket instanceof ClientSocket) {
    socket.serve(user);
    return;
  }
  socket.on('data', (bytes: Buffer) => user.received(bytes));
  socket.on('drain', () => user.drained());
  socket.on('end', () => user.ended());
  socket.on('finish', () => user.finished?.());
  socket.on('error', ignore);
  socket.on('close', () => user.closed());
}

/** Makes what a user was given last: until `to` has written it, or for good. See `ClientSocket.lend`. */
export type Lend = (bytes: Buffer, to?: Borrower) => Buffer;

export const lender = (socket: net.Socket): Lend =>
  socket instanceof ClientSocket ? (bytes, to) => socket.lend(bytes, to) : (bytes) => bytes;

/** Its bytes and their end go to whoever listens next; the user hears of 'finish' and 'close' still. */
export function handOver(socket: net.Socket): void {
  for (const event of ['data', 'drain', 'end']) socket.removeAllListeners(event);
  if (socket instanceof ClientSocket) socket.readAsStream();
}
