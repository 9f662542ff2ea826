import type net from 'node:net';
import type { Route } from '#contracts/route.ts';
import { pages, podPage } from '../pages/pages.ts';
import type { TcpContext } from './connect.ts';
import { connectPod } from './connect.ts';
import { sqlStates } from './postgres.ts';
import { refusePostgres, refuseTcp } from './refuse.ts';
import { splice } from './splice.ts';

/** Joins a client whose TLS stands with the pod of its route, or tells it why not. */
export function serveTcp(socket: net.Socket, route: Route, context: TcpContext): void {
  const { cannotConnectNow, connectionFailure } = sqlStates;
  const postgres = route.protocol === 'postgres';
  if (!route.upstream) {
    const { message } = route;
    if (postgres) refusePostgres(socket, context, { sqlState: cannotConnectNow, message });
    else refuseTcp(socket, context, podPage(route));
    return;
  }
  connectPod(route.upstream, context, (upstream) => {
    // Its 'close' is past: nothing would ever end the connection to the pod.
    if (socket.destroyed) upstream?.destroy();
    else if (upstream) splice(socket, upstream);
    else if (postgres) {
      const message = `the database of pod ${route.pod} does not accept connections`;
      refusePostgres(socket, context, { sqlState: connectionFailure, message });
    } else refuseTcp(socket, context, pages.badGateway);
  });
}
