import type net from 'node:net';
import { Refusal } from '../http1/fields.ts';
import { HeadBuffer } from '../http1/head-buffer.ts';
import { parseRequestHead } from '../http1/request-head.ts';
import type { Limits } from '../limits.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import { renderPage } from '../pages/render.ts';
import type { TcpContext } from './connect.ts';
import type { PostgresRefusal } from './postgres.ts';
import { errorResponse } from './postgres.ts';

/**
 * Answers a Postgres client in its own protocol, once it has sent its startup message: libpq reads
 * nothing before that. One that sends none is not waited for long.
 */
export function refusePostgres(
  socket: net.Socket,
  context: TcpContext,
  { sqlState, message }: PostgresRefusal,
): void {
  onceAsked(socket, context, () => errorResponse(sqlState, message));
}

// GET, OPTIONS and the like, and the beginning of a target; fewer letters may become that. PRI is how
// HTTP/2 begins, which would not understand the page.
const httpRequest = /^(?!PRI )(?:[A-Z]{0,20}|[A-Z]{3,20} (?:[/*h].*)?)$/s;

/**
 * Closes the connection of a pod that cannot be reached, but for clients of HTTP: a browser that
 * wants a WebSocket of a database gets the page that says why. Nothing can be said to the others.
 */
export function refuseTcp(socket: net.Socket, context: TcpContext, page: Page): void {
  const { limits } = context;
  const received = new HeadBuffer(limits);
  let first = '';
  onceAsked(socket, context, (bytes) => {
    first += bytes.toString('latin1', 0, httpStartBytes - first.length);
    if (!httpRequest.test(first)) return nothing;
    received.push(bytes);
    const text = received.head();
    if (text === undefined) return undefined;
    return pageFor(text?.slice(0, received.headEnd), page, limits);
  });
}

const httpStartBytes = 24;
const nothing = Buffer.alloc(0);

function pageFor(head: string | undefined, page: Page, limits: Limits): Buffer {
  const request =
    head === undefined ? new Refusal(431, 'the head is too large') : parseRequestHead(head, limits);
  if (request instanceof Refusal) {
    return renderPage(pages.refused(request.status, request.reason), undefined, false);
  }
  return renderPage(page, request, false);
}

/** Ends the connection with the answer to its first bytes, as soon as there is one. */
function onceAsked(
  socket: net.Socket,
  { deadlines, limits }: TcpContext,
  answer: (bytes: Buffer) => Buffer | undefined,
): void {
  const deadline = {
    deadlineMs: deadlines.nowMs + limits.firstByteMs,
    expire: (): void => socket.destroySoon(),
  };
  const asked = (bytes: Buffer): void => {
    const said = answer(bytes);
    if (!said) return;
    socket.off('data', asked);
    deadline.deadlineMs = deadlines.nowMs + limits.drainMs;
    deadline.expire = (): void => void socket.destroy();
    socket.end(said);
    socket.resume();
  };
  deadlines.add(deadline);
  socket.on('close', () => deadlines.delete(deadline));
  socket.on('error', () => undefined);
  socket.on('end', () => socket.destroySoon());
  socket.on('data', asked);
}
