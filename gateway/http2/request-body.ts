import { errors } from './protocol.ts';
import type { SharedReceiveWindow } from './receive-window.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { FrameWriter } from './frame-writer.ts';

const unknown = -1;

/** What a stream's client sends behind the head: how much may still come, by its windows and by its word. */
export class RequestBody {
  /** Nothing more comes. */
  done = false;
  readonly #window: ReceiveWindow;
  readonly #shared: SharedReceiveWindow;
  /** Of a body whose length was said, or `unknown`. */
  #left = unknown;
  #paused = false;
  /** Received while paused: the client gets no room for it. */
  #held = 0;

  constructor(writer: FrameWriter, shared: SharedReceiveWindow, windowBytes: number) {
    this.#window = new ReceiveWindow(writer, windowBytes);
    this.#shared = shared;
  }

  begin(stream: number, done: boolean): void {
    this.done = done;
    this.#left = unknown;
    this.#paused = false;
    this.#held = 0;
    this.#window.begin(stream);
  }

  /** RFC 9113, 8.1.1: more or less than that is an error. */
  expect(bytes: number): void {
    this.#left = bytes;
  }

  /** What is wrong with a frame of DATA that takes so many bytes of the window, or nothing. */
  takes(bytes: number): number {
    if (this.done) return errors.streamClosed;
    return this.#window.received(bytes) ? errors.none : errors.flowControl;
  }

  /** What is wrong with so many bytes of content, or nothing. */
  judge(bytes: number): number {
    if (this.#left === unknown) return errors.none;
    this.#left -= bytes;
    return this.#left < 0 ? errors.protocol : errors.none;
  }

  /** So many bytes were passed on, or are held where it is paused. */
  used(bytes: number): void {
    if (this.#paused) {
      this.#held += bytes;
      this.#shared.hold(bytes);
    } else if (!this.done) this.#window.used(bytes);
  }

  /** What is wrong with an end here, or nothing. */
  ends(): number {
    if (this.done) return errors.streamClosed;
    if (this.#left > 0) return errors.protocol;
    this.done = true;
    return errors.none;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    if (held === 0) return;
    this.release();
    this.used(held);
  }

  /** What is held is nobody's concern any more. */
  release(): void {
    if (this.#held > 0) this.#shared.release(this.#held);
    this.#held = 0;
  }
}
