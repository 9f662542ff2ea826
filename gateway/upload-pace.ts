import type { Limits } from './limits.ts';

/**
 * Judges an upload by what has come lately, never by its total: from the beginning, and again from
 * each time enough has come, a minimum must come within `bodyIdleMs`. A client that trickles a byte
 * now and then makes progress for ever and comes to nothing.
 */
export class UploadPace {
  readonly #limits: Limits;
  #bytesMin = 0;
  #bytes = 0;
  #sinceMs = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** A new body. One of gRPC may be a stream of rare messages: any byte of it is enough. */
  begin(grpc: boolean, nowMs: number): void {
    this.#bytesMin = grpc ? 1 : this.#limits.bodyBytesPerIdleMin;
    this.restart(nowMs);
  }

  /** The client was kept from sending, or may send again: what it sent before says nothing. */
  restart(nowMs: number): void {
    this.#bytes = 0;
    this.#sinceMs = nowMs;
  }

  /** So many `bytes` more have come. */
  took(bytes: number, nowMs: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= this.#bytesMin) this.restart(nowMs);
  }

  /** When the upload has failed, unless more of it comes; on the same clock. */
  get deadlineMs(): number {
    return this.#sinceMs + this.#limits.bodyIdleMs;
  }
}
