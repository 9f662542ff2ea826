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

/** Joins a client whose TLS stands with the pod of its route, or tells it why not. */
export function serveTcp(socket: net.Socket, route: Route, context: TcpContext): void {
  const postgres = route.protocol === 'postgres';
  if (!route.upstream) {
    if (postgres) refusePostgres(socket, sqlStates.cannotConnectNow, route.message);
    else socket.destroySoon();
    return;
  }
  connect(route.upstream, context, (upstream) => {
    if (upstream) splice(socket, upstream);
    else if (postgres) {
      const message = `the database of pod ${route.pod} does not accept connections`;
      refusePostgres(socket, sqlStates.connectionFailure, message);
    } else socket.destroy();
  });
}

/**
 * Answers a Postgres client in its own protocol, once it has sent its startup message: libpq reads
 * nothing before that.
 */
export function refusePostgres(socket: net.Socket, sqlState: string, message: string): void {
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
