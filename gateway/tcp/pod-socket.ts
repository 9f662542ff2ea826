import net from 'node:net';
import type { Address } from '#contracts/route.ts';
import type { Reader } from '../client-socket.ts';
import { toHold } from '../to-hold.ts';
import { received } from '../upstream/memory.ts';

/**
 * A connection to a pod that carries any protocol. It is a stream like others, but what the pod sends
 * can go straight to a reader, out of the memory that all connections to pods read into.
 */
export class PodSocket extends net.Socket {
  #reader: Reader | undefined;
  #listener: ((bytes: Buffer) => void) | undefined;

  constructor({ host, port }: Address) {
    super({
      allowHalfOpen: true,
      noDelay: true,
      onread: { buffer: received, callback: (length) => this.#filled(length) },
    });
    this.connect({ host, port });
  }

  /** What is read goes to `reader`; the end is an event still. */
  readTo(reader: Reader): void {
    this.#reader = reader;
  }

  /** From here on `listener` hears what comes as well, before its reader, and for the call only. */
  overhear(listener: ((bytes: Buffer) => void) | undefined): void {
    this.#listener = listener;
  }

  /** Returns whether to go on reading; whoever reads pauses. */
  #filled(length: number): boolean {
    const bytes = received.subarray(0, length);
    this.#listener?.(bytes);
    if (!this.#reader) return this.push(toHold(bytes));
    this.#reader.received(bytes);
    return true;
  }
}
