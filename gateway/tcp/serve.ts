import net from 'node:net';
import type { Address, Route } from '#contracts/route.ts';
import type { Deadlines, Mortal } from '../deadlines.ts';
import type { Limits } from '../limits.ts';
import { errorResponse, sqlStates } from './postgres.ts';
import { splice } from './splice.ts';

interface TcpContext {
  readonly deadlines: Deadlines;
  readonly limits: Limits;
}

export interface PostgresRefusal {
  readonly sqlState: string;
  /** Drivers show it to their user. */
  readonly message: string;
}

/** Joins a client whose TLS stands with the pod of its route, or tells it why not. */
export function serveTcp(socket: net.Socket, route: Route, context: TcpContext): void {
  const { cannotConnectNow, connectionFailure } = sqlStates;
  const refuse = (sqlState: string, message: string): void => {
    if (route.protocol === 'postgres') refusePostgres(socket, context, { sqlState, message });
    else socket.destroySoon();
  };
  if (!route.upstream) {
    refuse(cannotConnectNow, route.message);
    return;
  }
  connect(route.upstream, context, (upstream) => {
    // Its 'close' is past: nothing would ever end the connection to the pod.
    if (socket.destroyed) upstream?.destroy();
    else if (upstream) splice(socket, upstream);
    else refuse(connectionFailure, `the database of pod ${route.pod} does not accept connections`);
  });
}

/**
 * Answers a Postgres client in its own protocol, once it has sent its startup message: libpq reads
 * nothing before that. One that sends none is not waited for long.
 */
export function refusePostgres(
  socket: net.Socket,
  { deadlines, limits }: TcpContext,
  { sqlState, message }: PostgresRefusal,
): void {
  const deadline: Mortal = {
    deadlineMs: deadlines.nowMs + limits.firstByteMs,
    expire: () => socket.destroy(),
  };
  deadlines.add(deadline);
  socket.on('close', () => deadlines.delete(deadline));
  socket.on('error', () => undefined);
  socket.once('data', () => {
    socket.end(errorResponse(sqlState, message));
    socket.resume();
  });
  socket.on('end', () => socket.destroySoon());
}

function connect(
  address: Address,
  { deadlines, limits }: TcpContext,
  done: (upstream: net.Socket | undefined) => void,
): void {
  const upstream = net.connect({
    host: address.host,
    port: address.port,
    noDelay: true,
    allowHalfOpen: true,
  });
  const deadline: Mortal = {
    deadlineMs: deadlines.nowMs + limits.upstreamConnectMs,
    expire: () => upstream.destroy(new Error('connect timed out')),
  };
  deadlines.add(deadline);
  const failed = (): void => {
    deadlines.delete(deadline);
    done(undefined);
  };
  upstream.once('close', failed);
  upstream.on('error', () => undefined);
  upstream.once('connect', () => {
    deadlines.delete(deadline);
    upstream.off('close', failed);
    done(upstream);
  });
}
