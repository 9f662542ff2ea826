import type { Random } from '#contracts/random.ts';
import { Refusal } from '../http1/fields.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { LastFields } from '../http1/request-head.ts';
import type { Limits } from '../limits.ts';
import { headBytes, trailersOf } from './fields.ts';
import { refuseSelfDependence } from './frame-checks.ts';
import type { FrameHead } from './frame-reader.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { ConnectionFault, errors, flags } from './protocol.ts';
import { Malformed, requestHead } from './request.ts';

/** A request, and how long its head would be in HTTP/1.1. */
export interface Asked {
  readonly head: RequestHead | Refusal | Malformed;
  readonly bytes: number;
}

const cachedBlockBytesMax = 256;
const cachedBlocksMax = 8;
const priorityBytes = 5;

/**
 * Puts header blocks together (RFC 9113, 4.3) and reads them. A request in the same bytes as one
 * before, with nothing new in the table, is the same request, and not read again.
 */
export class HeaderBlocks {
  /** Of the block: its stream, and whether that ends with it. */
  stream = 0;
  ended = false;
  /** A block has begun and is not whole: nothing but its rest may come (RFC 9113, 6.10). */
  open = false;
  readonly #limits: Limits;
  readonly #random: Random;
  readonly #decoder: HpackDecoder;
  readonly #last = new LastFields();
  readonly #cache = new Map<string, Asked>();
  /** `tableChanges` of the decoder when what is cached was read. */
  #cachedAt = 0;
  readonly #parts: Buffer[] = [];
  #partBytes = 0;
  #bytes = nothing;
  #from = 0;
  #to = 0;

  constructor(limits: Limits, random: Random) {
    this.#limits = limits;
    this.#random = random;
    this.#decoder = new HpackDecoder(limits.headBytesMax);
  }

  /** HEADERS, with its payload from `from` on; returns whether the block is whole. */
  begin(head: FrameHead, bytes: Buffer, from: number): boolean {
    let at = from;
    let to = from + head.length;
    if ((head.flags & flags.padded) !== 0) {
      to -= bytes[at] ?? 0;
      at += 1;
    }
    if ((head.flags & flags.priority) !== 0) {
      if (at + priorityBytes <= to) refuseSelfDependence(head, bytes, at);
      at += priorityBytes;
    }
    if (at > to) throw new ConnectionFault(errors.protocol, 'more padding than payload');
    this.stream = head.stream;
    this.ended = (head.flags & flags.endStream) !== 0;
    this.open = (head.flags & flags.endHeaders) === 0;
    this.#bytes = bytes;
    this.#from = at;
    this.#to = to;
    if (this.open) this.#keep(bytes.subarray(at, to));
    return !this.open;
  }

  /** The same for CONTINUATION. */
  goOn(head: FrameHead, bytes: Buffer, from: number): boolean {
    this.#keep(bytes.subarray(from, from + head.length));
    this.open = (head.flags & flags.endHeaders) === 0;
    if (this.open) return false;
    this.#bytes = Buffer.concat(this.#parts);
    this.#from = 0;
    this.#to = this.#bytes.length;
    this.#parts.length = 0;
    this.#partBytes = 0;
    return true;
  }

  /** What the whole block asks for. */
  request(): Asked {
    const cacheable = this.ended && this.#to - this.#from <= cachedBlockBytesMax;
    const key = cacheable ? this.#bytes.toString('latin1', this.#from, this.#to) : '';
    const known = cacheable ? this.#cache.get(key) : undefined;
    if (known) {
      this.#bytes = nothing;
      return known;
    }
    const raw = this.#fields();
    const asked = { head: this.#read(raw), bytes: headBytes(raw) };
    if (this.#decoder.tableChanges !== this.#cachedAt) {
      this.#cachedAt = this.#decoder.tableChanges;
      this.#cache.clear();
    } else if (cacheable) this.#remember(key, asked);
    return asked;
  }

  /** The whole block as trailers, lines each with CRLF, or undefined when they may not come there. */
  trailers(): string | undefined {
    const lines = trailersOf(this.#fields());
    const tooLarge = this.#decoder.tooLarge || (lines?.length ?? 0) > this.#limits.trailerBytesMax;
    return tooLarge ? undefined : lines;
  }

  /** Names and values in turn; cut short where they are too many. */
  #fields(): string[] {
    const fields = this.#decoder.decode(this.#bytes, this.#from, this.#to);
    this.#bytes = nothing;
    return fields;
  }

  #read(raw: readonly string[]): Asked['head'] {
    if (this.#decoder.tooLarge) return new Refusal(431, 'the head is too large');
    const webSocketKey = raw.includes(':protocol') ? this.#random.bytes(16).toString('base64') : '';
    const request = { raw, ended: this.ended, webSocketKey, last: this.#last };
    return requestHead(request, this.#limits);
  }

  /** A head that nobody could have asked for, or that is told apart by chance, is read each time. */
  #remember(key: string, asked: Asked): void {
    const { head, bytes } = asked;
    if (head instanceof Refusal || head instanceof Malformed || head.websocket) return;
    if (bytes > this.#limits.rememberedHeadBytesMax) return;
    if (this.#cache.size >= cachedBlocksMax) this.#cache.clear();
    this.#cache.set(key, asked);
  }

  #keep(part: Buffer): void {
    this.#partBytes += part.length;
    const { h2BlockBytesMax, h2BlockFramesMax } = this.#limits;
    if (this.#partBytes > h2BlockBytesMax || this.#parts.length >= h2BlockFramesMax) {
      throw new ConnectionFault(errors.enhanceYourCalm, 'a head beyond all bounds');
    }
    this.#parts.push(Buffer.from(part));
  }
}

const nothing: Buffer = Buffer.alloc(0);
