import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** An echo server for WebSocket (RFC 6455), by hand because examples have no dependencies. */

const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const messageBytesMax = 16 * 1024 * 1024;

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface Frame {
  readonly last: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  /** Bytes of the input it took. */
  readonly size: number;
}

/** Violations close the connection with this code (RFC 6455, section 7.4.1). */
class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Takes over the connection of an upgrade request and sends every message back. */
export function echo(request: IncomingMessage, socket: Duplex, early: Buffer): void {
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || !key) {
    socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    return;
  }
  const accept = createHash('sha1')
    .update(key + acceptSuffix)
    .digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n' +
      `sec-websocket-accept: ${accept}\r\n\r\n`,
  );
  const connection = new EchoConnection(socket);
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => connection.receive(bytes));
  socket.on('drain', () => socket.resume());
  socket.on('end', () => socket.end());
  if (early.length > 0) connection.receive(early);
}

class EchoConnection {
  readonly #socket: Duplex;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #needed = 2;
  #opcode = 0;
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;
  #closed = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  receive(bytes: Buffer): void {
    if (this.#closed) return;
    this.#chunks.push(bytes);
    this.#buffered += bytes.length;
    // Joined only when there is enough: joining at every chunk would cost the square of a message.
    if (this.#buffered < this.#needed) return;
    try {
      this.#takeFrames(Buffer.concat(this.#chunks));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#close(Buffer.from([error.code >> 8, error.code & 0xff]));
    }
  }

  #takeFrames(input: Buffer): void {
    let rest = input;
    let frame = parseFrame(rest);
    while (typeof frame === 'object' && !this.#closed) {
      rest = rest.subarray(frame.size);
      this.#take(frame);
      frame = parseFrame(rest);
    }
    this.#chunks = [rest];
    this.#buffered = rest.length;
    this.#needed = typeof frame === 'number' ? frame : 0;
  }

  #take({ last, opcode, payload }: Frame): void {
    switch (opcode) {
      case opcodes.ping:
        this.#send(opcodes.pong, payload);
        return;
      case opcodes.pong:
        return;
      case opcodes.close:
        this.#close(payload.subarray(0, 2));
        return;
      case opcodes.text:
      case opcodes.binary:
      case opcodes.continuation:
        this.#collect(last, opcode, payload);
        return;
      default:
        throw new ProtocolError(1002, `opcode ${opcode} is reserved`);
    }
  }

  #collect(last: boolean, opcode: number, payload: Buffer): void {
    const continues = opcode === opcodes.continuation;
    if (continues === (this.#opcode === 0)) throw new ProtocolError(1002, 'fragments out of order');
    if (!continues) this.#opcode = opcode;
    this.#fragments.push(payload);
    this.#fragmentBytes += payload.length;
    if (this.#fragmentBytes > messageBytesMax) throw new ProtocolError(1009, 'message too big');
    if (!last) return;
    this.#send(this.#opcode, Buffer.concat(this.#fragments));
    this.#opcode = 0;
    this.#fragments = [];
    this.#fragmentBytes = 0;
  }

  #send(opcode: number, payload: Buffer): void {
    // A client that does not read its echoes is not read from either.
    if (!this.#socket.write(Buffer.concat([frameHead(opcode, payload.length), payload])))
      this.#socket.pause();
  }

  #close(payload: Buffer): void {
    this.#closed = true;
    this.#socket.end(Buffer.concat([frameHead(opcodes.close, payload.length), payload]));
    this.#socket.resume();
  }
}

/** The first frame of `input`, unmasked, or how many bytes it takes to see more of it. */
function parseFrame(input: Buffer): Frame | number {
  if (input.length < 2) return 2;
  const [first = 0, second = 0] = input;
  const frame = { last: (first & 0x80) !== 0, opcode: first & 0x0f };
  const short = second & 0x7f;
  checkHead(first, second);
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const headBytes = 2 + lengthBytes + 4;
  if (input.length < headBytes) return headBytes;
  const length = payloadLength(input, short);
  if (length > messageBytesMax) throw new ProtocolError(1009, 'message too big');
  const size = headBytes + length;
  if (input.length < size) return size;
  const mask = input.subarray(headBytes - 4, headBytes);
  const payload = Buffer.from(input.subarray(headBytes, size));
  for (let i = 0; i < length; i += 1) payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return { ...frame, payload, size };
}

function checkHead(first: number, second: number): void {
  if ((first & 0x70) !== 0) throw new ProtocolError(1002, 'no extension was agreed on');
  if ((second & 0x80) === 0) throw new ProtocolError(1002, 'clients must mask');
  const isControl = (first & 0x08) !== 0;
  const isWhole = (first & 0x80) !== 0;
  if (isControl && (!isWhole || (second & 0x7f) > 125))
    throw new ProtocolError(1002, 'control frames are short and whole');
}

function payloadLength(input: Buffer, short: number): number {
  if (short === 126) return input.readUInt16BE(2);
  if (short === 127) return Number(input.readBigUInt64BE(2));
  return short;
}

function frameHead(opcode: number, length: number): Buffer {
  const first = 0x80 | opcode;
  if (length < 126) return Buffer.from([first, length]);
  if (length < 65_536) return Buffer.from([first, 126, length >> 8, length & 0xff]);
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}
