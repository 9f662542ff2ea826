import type { Limits } from '../limits.ts';
import { hasForbiddenBytes, hopByHop, isForwarding, splitField } from './fields.ts';

/** What the scanner found in a piece of a chunked body. */
export const needsMore = -1;
export const malformed = -2;

const CR = 0x0d;
const LF = 0x0a;

type State = 'size' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'trailer-lf';

/** Who wants the content of a body, without its framing. */
export interface BodySink {
  content(bytes: Buffer): void;
}

/**
 * Follows a chunked body (RFC 9112, 7.1) so that its bytes can be passed on untouched. Chunk
 * extensions are refused: nobody uses them, and parsers differ in where they end.
 */
export class ChunkedScanner {
  /** Field lines of the trailer section, each with CRLF; kept only for a sink. */
  trailers = '';
  readonly #limits: Limits;
  #state: State = 'size';
  #size = 0;
  #digits = 0;
  #line = '';
  #trailerBytes = 0;
  #sink: BodySink | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Ready for the next body; its content, without framing, is told to `sink`. */
  reset(sink?: BodySink): void {
    this.#sink = sink;
    this.trailers = '';
    this.#state = 'size';
    this.#size = 0;
    this.#digits = 0;
    this.#line = '';
    this.#trailerBytes = 0;
  }

  /** The index behind the body's last byte, `needsMore`, or `malformed`. */
  scan(bytes: Buffer, from: number): number {
    let at = from;
    while (at < bytes.length) {
      if (this.#state === 'data') {
        const taken = Math.min(this.#size, bytes.length - at);
        this.#size -= taken;
        if (this.#sink) this.#sink.content(bytes.subarray(at, at + taken));
        at += taken;
        if (this.#size === 0) this.#state = 'data-cr';
        continue;
      }
      const outcome = this.#byte(bytes[at] ?? 0);
      at += 1;
      if (outcome === 'malformed') return malformed;
      if (outcome === 'end') return at;
    }
    return needsMore;
  }

  #byte(byte: number): 'go-on' | 'end' | 'malformed' {
    switch (this.#state) {
      case 'size':
        return this.#sizeByte(byte);
      case 'size-lf':
        if (byte !== LF) return 'malformed';
        this.#state = this.#size === 0 ? 'trailer' : 'data';
        this.#digits = 0;
        return 'go-on';
      case 'data-cr':
        this.#state = 'data-lf';
        return byte === CR ? 'go-on' : 'malformed';
      case 'data-lf':
        this.#state = 'size';
        return byte === LF ? 'go-on' : 'malformed';
      case 'trailer':
      case 'trailer-lf':
        return this.#trailerByte(byte);
      case 'data':
        return 'malformed';
    }
  }

  #sizeByte(byte: number): 'go-on' | 'malformed' {
    if (byte === CR && this.#digits > 0) {
      this.#state = 'size-lf';
      return 'go-on';
    }
    const digit = hexDigit(byte);
    this.#digits += 1;
    if (digit < 0 || this.#digits > this.#limits.chunkLineBytesMax) return 'malformed';
    this.#size = this.#size * 16 + digit;
    return Number.isSafeInteger(this.#size) ? 'go-on' : 'malformed';
  }

  #trailerByte(byte: number): 'go-on' | 'end' | 'malformed' {
    this.#trailerBytes += 1;
    if (this.#trailerBytes > this.#limits.trailerBytesMax) return 'malformed';
    if (this.#state === 'trailer-lf') {
      if (byte !== LF) return 'malformed';
      const line = this.#line;
      this.#line = '';
      this.#state = 'trailer';
      if (line === '') return 'end';
      if (this.#sink) this.trailers += `${line}\r\n`;
      return trailerAllowed(line) ? 'go-on' : 'malformed';
    }
    if (byte === CR) this.#state = 'trailer-lf';
    else if (byte === LF || byte === 0) return 'malformed';
    else this.#line += String.fromCharCode(byte);
    return 'go-on';
  }
}

// Fields that frame, route or open a message must not come late (RFC 9110, 6.5.1).
const onlyInHeads = /^(content-(length|encoding|type|range)|host|authorization|cookie|set-cookie)$/;

/** Programs merge trailers into the head: what a head may not say, a trailer may not either. */
export function trailerAllowed(line: string): boolean {
  const name = splitField(line)?.name;
  if (name === undefined || hasForbiddenBytes(line) || name.includes('_')) return false;
  return !onlyInHeads.test(name) && !hopByHop.has(name) && !isForwarding(name);
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
