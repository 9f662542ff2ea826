import type net from 'node:net';
import { ClientSocket } from '../client-socket.ts';

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

/** From a client's TLS each record of 16 KB comes by itself, so it is passed on the short way. */
function pass(from: net.Socket, to: net.Socket): void {
  if (!(from instanceof ClientSocket)) {
    from.pipe(to);
    return;
  }
  const write = (bytes: Buffer): void => {
    if (!to.write(from.lend(bytes, to))) from.pause();
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
