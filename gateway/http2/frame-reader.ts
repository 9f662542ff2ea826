import {
  ConnectionFault,
  errors,
  flags,
  frameHeadBytes,
  framePayloadMax,
  frames,
  preface,
} from './protocol.ts';

/** What a frame says before its payload. */
export interface FrameHead {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  /** Of the payload, padding included. */
  readonly length: number;
}

/** Who hears of frames. A `ConnectionFault` that it throws ends the reading. */
export interface FrameSink {
  /** A whole frame of any type but DATA; its payload, from `from` on, is good for this call only. */
  frame(head: FrameHead, bytes: Buffer, from: number): void;
  /** A frame of DATA begins; its content follows in pieces as it comes, then its end. */
  dataBegins(head: FrameHead): void;
  data(head: FrameHead, bytes: Buffer): void;
  dataEnds(head: FrameHead): void;
}

const prefaceBytes = Buffer.from(preface, 'latin1');
const unknown = -1;

/**
 * Cuts what a client sends into frames (RFC 9113, 4.1), in place where a frame is whole. Keeps one
 * frame at most, and nothing of DATA.
 */
export class FrameReader implements FrameHead {
  type = 0;
  flags = 0;
  stream = 0;
  length = 0;
  readonly #sink: FrameSink;
  #phase: 'preface' | 'head' | 'payload' | 'data' = 'preface';
  /** Bytes of the preface, the head or the payload that are there already. */
  #have = 0;
  readonly #head = Buffer.alloc(frameHeadBytes);
  #payload: Buffer = nothing;
  /** Of a DATA frame: bytes to come, padding among them, whose length is `unknown` at first. */
  #left = 0;
  #padding = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Something has begun that is not whole yet. */
  get unfinished(): boolean {
    return this.#phase !== 'head' || this.#have > 0;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) at = this.#step(bytes, at);
  }

  #step(bytes: Buffer, at: number): number {
    switch (this.#phase) {
      case 'preface':
        return this.#readPreface(bytes, at);
      case 'head':
        return this.#readHead(bytes, at);
      case 'payload':
        return this.#readPayload(bytes, at);
      case 'data':
        return this.#readData(bytes, at);
    }
  }

  #readPreface(bytes: Buffer, at: number): number {
    const to = Math.min(bytes.length, at + prefaceBytes.length - this.#have);
    for (let from = at; from < to; from += 1) {
      if (bytes[from] !== prefaceBytes[this.#have]) {
        throw new ConnectionFault(errors.protocol, 'this is not HTTP/2');
      }
      this.#have += 1;
    }
    if (this.#have === prefaceBytes.length) this.#next();
    return to;
  }

  #readHead(bytes: Buffer, at: number): number {
    if (this.#have === 0 && at + frameHeadBytes <= bytes.length) {
      this.#begin(bytes, at);
      const payloadAt = at + frameHeadBytes;
      const end = payloadAt + this.length;
      if (this.type === frames.data || end > bytes.length) return payloadAt;
      this.#next();
      this.#sink.frame(this, bytes, payloadAt);
      return end;
    }
    const to = Math.min(bytes.length, at + frameHeadBytes - this.#have);
    bytes.copy(this.#head, this.#have, at, to);
    this.#have += to - at;
    if (this.#have < frameHeadBytes) return to;
    this.#begin(this.#head, 0);
    if (this.type !== frames.data && this.length === 0) this.#deliver(nothing);
    return to;
  }

  #begin(bytes: Buffer, at: number): void {
    this.length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    this.type = bytes[at + 3] ?? 0;
    this.flags = bytes[at + 4] ?? 0;
    // The highest bit is reserved (4.1).
    this.stream =
      (((bytes[at + 5] ?? 0) & 0x7f) << 24) |
      ((bytes[at + 6] ?? 0) << 16) |
      ((bytes[at + 7] ?? 0) << 8) |
      (bytes[at + 8] ?? 0);
    if (this.length > framePayloadMax) {
      throw new ConnectionFault(errors.frameSize, 'a frame is too large');
    }
    this.#have = 0;
    this.#phase = 'payload';
    if (this.type === frames.data) this.#beginData();
  }

  #readPayload(bytes: Buffer, at: number): number {
    if (this.#have === 0) this.#payload = Buffer.allocUnsafe(this.length);
    const to = Math.min(bytes.length, at + this.length - this.#have);
    bytes.copy(this.#payload, this.#have, at, to);
    this.#have += to - at;
    if (this.#have === this.length) {
      const payload = this.#payload;
      this.#payload = nothing;
      this.#deliver(payload);
    }
    return to;
  }

  #deliver(payload: Buffer): void {
    this.#next();
    this.#sink.frame(this, payload, 0);
  }

  #beginData(): void {
    const padded = (this.flags & flags.padded) !== 0;
    if (padded && this.length === 0) {
      throw new ConnectionFault(errors.frameSize, 'padding of no length');
    }
    this.#phase = 'data';
    this.#left = this.length;
    this.#padding = padded ? unknown : 0;
    this.#sink.dataBegins(this);
    if (this.length === 0) this.#endData();
  }

  #readData(bytes: Buffer, at: number): number {
    let from = at;
    if (this.#padding === unknown) {
      this.#padding = bytes[from] ?? 0;
      from += 1;
      this.#left -= 1;
      if (this.#padding > this.#left) {
        throw new ConnectionFault(errors.protocol, 'more padding than payload');
      }
    }
    const content = Math.min(this.#left - this.#padding, bytes.length - from);
    if (content > 0) this.#sink.data(this, bytes.subarray(from, from + content));
    this.#left -= content;
    from += content;
    const skipped = this.#left <= this.#padding ? Math.min(this.#left, bytes.length - from) : 0;
    this.#left -= skipped;
    this.#padding -= skipped;
    if (this.#left === 0) this.#endData();
    return from + skipped;
  }

  #endData(): void {
    this.#next();
    this.#sink.dataEnds(this);
  }

  #next(): void {
    this.#phase = 'head';
    this.#have = 0;
  }
}

const nothing = Buffer.alloc(0);
