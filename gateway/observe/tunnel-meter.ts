import type net from 'node:net';
import type { NetworkMeter } from './network-meter.ts';

/** The bytes of a tunnel, as its pod's socket counts them anyway: what passes costs nothing more. */
export class TunnelMeter {
  readonly #network: NetworkMeter;
  readonly #pod: net.Socket;
  readonly #readBefore: number;
  readonly #writtenBefore: number;
  #read: number;
  #written: number;

  /** Counts from now on. */
  constructor(network: NetworkMeter, pod: net.Socket) {
    this.#network = network;
    this.#pod = pod;
    this.#read = pod.bytesRead;
    this.#written = writtenTo(pod);
    this.#readBefore = this.#read;
    this.#writtenBefore = this.#written;
  }

  /** What passed to the pod until the last sample. */
  get bytesIn(): number {
    return this.#written - this.#writtenBefore;
  }

  get bytesOut(): number {
    return this.#read - this.#readBefore;
  }

  /** Adds what passed since the last time. */
  sample(): void {
    const read = this.#pod.bytesRead;
    const written = writtenTo(this.#pod);
    if (read > this.#read) this.#network.sent(read - this.#read);
    if (written > this.#written) this.#network.received(written - this.#written);
    this.#read = read;
    this.#written = Math.max(written, this.#written);
  }
}

/** Undefined, whatever the declarations say, for a socket that is gone. */
const writtenTo = (socket: net.Socket): number => socket.bytesWritten || 0;
