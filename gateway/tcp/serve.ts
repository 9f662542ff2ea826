import type net from 'node:net';
import type { Route } from '#contracts/route.ts';
import type { Meters } from '../observe/meters.ts';
import { noAnswerPage, podPage } from '../pages/pages.ts';
import type { TcpContext } from './connect.ts';
import { connectPod } from './connect.ts';
import { onceKeyed } from './backend-key.ts';
import { sqlStates } from './postgres.ts';
import { refusePostgres, refuseTcp } from './refuse.ts';
import type { PostgresSessions } from './sessions.ts';
import { splice } from './splice.ts';

export interface ServeTcpContext extends TcpContext {
  readonly cancels: { readonly sessions: PostgresSessions };
  readonly meters: Meters;
}

/** A client whose TLS stands. */
export interface TcpClient {
  readonly socket: net.Socket;
  readonly address: string;
}

/** Joins a client with the pod of its route, or tells it why not. */
export function serveTcp(client: TcpClient, route: Route, context: ServeTcpContext): void {
  const { socket } = client;
  const { cannotConnectNow, connectionFailure } = sqlStates;
  const postgres = route.protocol === 'postgres';
  if (!route.upstream) {
    const { message } = route;
    context.meters.sessionRefused(route, podPage(route), client.address);
    if (postgres) refusePostgres(socket, context, { sqlState: cannotConnectNow, message });
    else refuseTcp(socket, context, podPage(route));
    return;
  }
  const { upstream: address, policy } = route;
  connectPod(address, context, (upstream, unreached) => {
    // Its 'close' is past: nothing would ever end the connection to the pod.
    if (!upstream) context.meters.sessionFailed(route, noAnswerPage(unreached), client.address);
    if (socket.destroyed) upstream?.destroy();
    else if (upstream) {
      if (postgres) {
        const session = { upstream: address, client: client.address, policy };
        onceKeyed(upstream, (key) => {
          upstream.once('close', context.cancels.sessions.add(key, session));
        });
      }
      context.meters.session(route, upstream, client.address);
      splice(socket, upstream);
    } else if (postgres) {
      const message = `the database of pod ${route.pod} does not accept connections`;
      refusePostgres(socket, context, { sqlState: connectionFailure, message });
    } else refuseTcp(socket, context, noAnswerPage(unreached));
  });
}
