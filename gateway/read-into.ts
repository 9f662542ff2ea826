import net from 'node:net';

/**
 * Node reads into memory of its caller's only for sockets that it makes (`onread` of `net.connect`), not
 * for a TLSSocket around one, though the same handle serves both. So what it keeps that under is looked
 * up by name; a Node that has other names reads as usual, into memory of its own for each read.
 */
const names = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
  Object.getOwnPropertySymbols(new net.Socket()).find(({ description }) => description === name),
);

/** Called with the socket as `this`. */
export interface Reads<S> {
  /** So much was read; returns whether to go on. */
  readonly filled: (this: S, length: number) => boolean;
  /** Where the next read goes, if not where the last one went. */
  readonly takeNext: () => Buffer | undefined;
}

/** From here on what `socket` reads is put into `memory`, where Node can do that. */
export function readInto<S extends net.Socket>(memory: Buffer, socket: S, reads: Reads<S>): void {
  const handle: unknown = Reflect.get(socket, '_handle');
  const useUserBuffer: unknown = Reflect.get(Object(handle), 'useUserBuffer');
  if (typeof useUserBuffer !== 'function' || names.includes(undefined)) return;
  for (const [at, value] of [memory, reads.filled, reads.takeNext].entries()) {
    Reflect.set(socket, names[at] ?? '', value);
  }
  Reflect.apply(useUserBuffer, handle, [memory]);
}
