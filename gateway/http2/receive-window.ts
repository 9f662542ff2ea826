import type { FrameWriter } from './frame-writer.ts';

/** What the client may still send, of one stream or of all, and what it is told of that. */
export class ReceiveWindow {
  /** Of the stream, or 0. */
  stream = 0;
  readonly #writer: FrameWriter;
  readonly #bytesMax: number;
  #left: number;
  /** Used up, and the client does not know yet that it may send as much again. */
  #owed = 0;

  constructor(writer: FrameWriter, bytesMax: number) {
    this.#writer = writer;
    this.#bytesMax = bytesMax;
    this.#left = bytesMax;
  }

  begin(stream: number): void {
    this.stream = stream;
    this.#left = this.#bytesMax;
    this.#owed = 0;
  }

  /** So many bytes have come; false when they were too many. */
  received(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** They are used up. The client is told when it is worth a frame. */
  used(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed * 2 < this.#bytesMax) return;
    this.#writer.windowUpdate(this.stream, this.#owed);
    this.#left += this.#owed;
    this.#owed = 0;
  }
}

/** What the client may still send in all streams together. */
export class SharedReceiveWindow {
  readonly #window: ReceiveWindow;
  readonly #heldBytesMax: number;
  /** Taken from the client, and waiting for pods that are slow. */
  #held = 0;
  /** Used up, and not told while too much is held. */
  #untold = 0;

  constructor(window: ReceiveWindow, heldBytesMax: number) {
    this.#window = window;
    this.#heldBytesMax = heldBytesMax;
  }

  received(bytes: number): boolean {
    return this.#window.received(bytes);
  }

  /**
   * One slow pod must not stop the uploads to others, so what it holds counts as used up, as long as
   * it is not too much.
   */
  used(bytes: number): void {
    this.#untold += bytes;
    if (this.#held > this.#heldBytesMax) return;
    this.#window.used(this.#untold);
    this.#untold = 0;
  }

  hold(bytes: number): void {
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
    this.used(0);
  }
}
