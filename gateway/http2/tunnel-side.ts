import { Duplex } from 'node:stream';

/** The stream that carries it. */
export interface TunnelCarrier {
  /** It takes no more for now. */
  readonly blocked: boolean;
  tunnelWrites(bytes: Buffer): void;
  /** Whether the end has left. */
  tunnelEnds(): boolean;
  tunnelGone(): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

/** An HTTP/2 stream as a stream of Node's, for the tunnel of a WebSocket. */
export class TunnelSide extends Duplex {
  readonly #carrier: TunnelCarrier;
  /** Of the write or the end that waits for the client's window. */
  #waiting: (() => void) | undefined;

  constructor(carrier: TunnelCarrier) {
    super({ allowHalfOpen: true });
    this.#carrier = carrier;
    this.on('error', () => undefined);
  }

  /** What the client has sent. */
  receive(bytes: Buffer): void {
    if (!this.push(bytes)) this.#carrier.pauseRequest();
  }

  receiveEnd(): void {
    this.push(null);
  }

  /** All that was written has left. */
  drained(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  override _read(): void {
    this.#carrier.resumeRequest();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#carrier.tunnelWrites(bytes);
    if (this.#carrier.blocked) this.#waiting = done;
    else done();
  }

  override _final(done: () => void): void {
    if (this.#carrier.tunnelEnds()) done();
    else this.#waiting = done;
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#carrier.tunnelGone();
    done(error);
  }
}
