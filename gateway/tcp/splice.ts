import type net from 'node:net';
import { ClientSocket, takesAtOnce } from '../client-socket.ts';
import { kept } from '../upstream/memory.ts';
import { PodSocket } from './pod-socket.ts';

/**
 * Joins two sockets (both with `allowHalfOpen`) into a tunnel: bytes pass both ways with
 * backpressure, an end is passed on as an end, and when one side is gone so is the other.
 */
export function splice(a: net.Socket, b: net.Socket): void {
  a.setKeepAlive(true, 60_000);
  b.setKeepAlive(true, 60_000);
  pass(a, b);
  pass(b, a);
  closeWith(a, b);
  closeWith(b, a);
  a.resume();
  b.resume();
}

/** Where bytes can go straight on, they do so out of the memory that they were read into. */
function pass(from: net.Socket, to: net.Socket): void {
  if (from instanceof ClientSocket) passOn(from, to, (bytes) => from.lend(bytes, to));
  else if (from instanceof PodSocket) {
    passOn(from, to, (bytes) => (takesAtOnce(to) ? bytes : kept(bytes)));
  } else from.pipe(to);
}

/** `lasting`: the same bytes for as long as `to` may hold them. */
function passOn(
  from: ClientSocket | PodSocket,
  to: net.Socket,
  lasting: (bytes: Buffer) => Buffer,
): void {
  const write = (bytes: Buffer): void => {
    if (!to.write(lasting(bytes))) from.pause();
  };
  if (from.readableEnded) to.end();
  else from.on('end', () => to.end());
  to.on('drain', () => from.resume());
  // What came before there was anybody to pass it on to, all of it: one read may give a part.
  from.pause();
  for (let early: unknown = from.read(); Buffer.isBuffer(early); early = from.read()) write(early);
  from.readTo({ received: write });
}

function closeWith(from: net.Socket, to: net.Socket): void {
  // One miss would end the process; 'close' follows and does the work.
  from.on('error', () => undefined);
  from.on('close', (failed) => {
    if (failed) to.destroy();
    else to.destroySoon();
  });
}
