import type net from 'node:net';
import { inBlocks } from './allowed.ts';
import { proxyHeader } from './proxy-header.ts';
import type { TcpContext } from './tcp/connect.ts';

/** Which balancers stand in front, and whether they say whose connection it is. */
export interface ProxyTerms {
  readonly trustedProxies: readonly string[];
  readonly proxyProtocol: boolean;
}

/**
 * Finds out the client's address and hands the connection on with it, unread. Behind a trusted proxy
 * that speaks the PROXY protocol it stands in the header; a connection without one, or with one that
 * does not come in time, is closed: the peer would be taken for its client.
 */
export function identify(
  socket: net.Socket,
  { trustedProxies, proxyProtocol }: ProxyTerms,
  context: TcpContext,
  done: (address: string) => void,
): void {
  const peer = canonical(socket.remoteAddress ?? '');
  if (!proxyProtocol || !inBlocks(trustedProxies, peer)) done(peer);
  else readHeader(socket, context, (address) => done(canonical(address ?? peer)));
}

function readHeader(
  socket: net.Socket,
  { deadlines, limits }: TcpContext,
  done: (address: string | undefined) => void,
): void {
  let received: Buffer = Buffer.alloc(0);
  const deadline = {
    deadlineMs: deadlines.nowMs + limits.proxyHeaderMs,
    expire: (): void => void socket.destroy(),
  };
  const forget = (): boolean => deadlines.delete(deadline);
  const ended = (): void => void socket.destroy();
  const read = (bytes: Buffer): void => {
    received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
    const header = proxyHeader(received, limits);
    if (header === 'incomplete') return;
    if (header === 'refused') {
      socket.destroy();
      return;
    }
    socket.off('data', read).off('end', ended).off('close', forget);
    forget();
    socket.pause();
    if (header.end < received.length) socket.unshift(received.subarray(header.end));
    done(header.address);
    socket.resume();
  };
  deadlines.add(deadline);
  socket.on('error', () => undefined);
  socket.on('data', read);
  socket.on('end', ended);
  socket.on('close', forget);
}

/** Without the prefix of an IPv4 address that came in on an IPv6 socket (RFC 4291, 2.5.5.2). */
const canonical = (address: string): string => {
  const lower = address.toLowerCase();
  return lower.startsWith('::ffff:') && lower.includes('.') ? lower.slice(7) : lower;
};
