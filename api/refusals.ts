import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import type { Log } from '#contracts/log.ts';
import type { App } from './app.ts';
import { TooManyTries } from './auth/identity.ts';
import { failure } from './envelope.ts';
import type { ErrorReply } from './errors.ts';
import { errorReply, Refused } from './errors.ts';
import { requestFields } from './request-id.ts';
import type { StatusCodes } from './problem.ts';
import { problemOf, wireStatus } from './problem.ts';

/** Puts every failure of a request into the envelope, and tells the operator of our own. */
export function answerErrors(app: App, log: Log, codes: StatusCodes): void {
  app.setErrorHandler((error, request, reply) => {
    const { bodyLimit } = request.routeOptions;
    const known: ErrorReply = errorReply(error, bodyLimit) ?? {
      status: 500,
      message: 'Unexpected error.',
    };
    const { status, message, retrySeconds } = known;
    // One that was meant (`Refused`) is nothing that an operator should look at.
    if (status === 500 && !(error instanceof Refused)) {
      const fields = { ...requestFields(request), error: String(error) };
      log.error(fields, 'request failed unexpectedly');
    }
    if (error instanceof TooManyTries) void reply.header('retry-after', String(error.waitSeconds));
    if (retrySeconds !== undefined) void reply.header('retry-after', String(retrySeconds));
    // RFC 9110 11.6.1: a 401 says how to authenticate.
    if (status === 401) void reply.header('www-authenticate', 'Bearer');
    const problem = problemOf(status, message);
    return reply.code(wireStatus(status, codes)).send(failure(message, { problem }));
  });
  app.setNotFoundHandler((request, reply) => {
    const [path] = request.url.split('?');
    const message = `Request path '${path}' (${request.method}) does not match any API route.`;
    const status = codes === 'tapis' ? 400 : 404;
    return reply.code(status).send(failure(message, { problem: problemOf(404, message) }));
  });
}

/** A path that cannot be routed belongs to no route: no hook and no error handler sees it. */
export function answerUnroutable(reply: FastifyReply, requestId: string): void {
  reply.hijack();
  reply.raw.writeHead(400, { 'content-type': 'application/json', 'x-request-id': requestId });
  reply.raw.end(JSON.stringify(failure('The path does not decode or has a part too long.')));
}

/** What is no HTTP, or comes too slowly, reaches no route. */
export function answerBrokenRequest(
  error: { readonly code?: unknown },
  socket: Socket,
  requestId: string,
): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, message] = brokenRequests[String(error.code)] ?? unreadable;
  const body = JSON.stringify(failure(message));
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    `X-Request-Id: ${requestId}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

type BrokenReply = readonly [statusLine: string, message: string];
const unreadable: BrokenReply = ['400 Bad Request', 'The request is not valid HTTP.'];
const brokenRequests: Readonly<Record<string, BrokenReply>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The header fields are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request took too long to arrive.'],
};

const anyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/**
 * Answers 405 with the methods there are (RFC 9110 15.5.6), for the routes made until the returned
 * function is called.
 */
export function refuseOtherMethods(app: App): () => void {
  const known = new Map<string, Set<string>>();
  let listening = true;
  app.addHook('onRoute', ({ url, method }) => {
    if (!listening) return;
    const methods = known.get(url) ?? new Set();
    for (const each of [method].flat()) methods.add(each);
    known.set(url, methods);
  });
  return () => {
    listening = false;
    for (const [url, methods] of known) {
      const allowed = [...methods].toSorted().join(', ');
      app.route({
        url,
        method: anyMethod.filter((method) => !methods.has(method)),
        config: { access: 'anybody' },
        schema: { hide: true },
        // Before the body is read: there is nothing it could change.
        onRequest: async (request, reply) => {
          void reply.header('allow', allowed);
          throw new Refused(405, `${request.method} is not possible here, only ${allowed}.`);
        },
        handler: () => undefined,
      });
    }
  };
}
