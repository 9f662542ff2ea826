import type net from 'node:net';

/**
 * Joins two sockets (both with `allowHalfOpen`) into a tunnel: bytes pass both ways with
 * backpressure, an end is passed on as an end, and when one side is gone so is the other.
 */
export function splice(a: net.Socket, b: net.Socket): void {
  a.setKeepAlive(true, 60_000);
  b.setKeepAlive(true, 60_000);
  a.pipe(b);
  b.pipe(a);
  closeWith(a, b);
  closeWith(b, a);
  a.resume();
  b.resume();
}

function closeWith(from: net.Socket, to: net.Socket): void {
  // One miss would end the process; 'close' follows and does the work.
  from.on('error', () => undefined);
  from.on('close', (failed) => {
    if (failed) to.destroy();
    else to.destroySoon();
  });
}
