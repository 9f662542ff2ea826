import type { Peer } from './context.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** The head as the pod gets it, in one piece. */
export function forwardedHead(request: RequestHead, peer: Peer, requestId: string): string {
  const { method, target, authority, fields, framing, length, websocket, minor } = request;
  const body =
    framing === 'length'
      ? `Content-Length: ${length}\r\n`
      : framing === 'chunked'
        ? 'Transfer-Encoding: chunked\r\n'
        : '';
  const connection = websocket
    ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    : minor === 0
      ? 'Connection: close\r\n'
      : '';
  const scheme = peer.sni === undefined ? 'http' : 'https';
  return (
    // A pod must not answer an HTTP/1.0 client in chunks, so it is asked in HTTP/1.0.
    `${method} ${target} HTTP/1.${minor}\r\nHost: ${authority}\r\n${fields}${body}${connection}` +
    `X-Forwarded-For: ${peer.address}\r\nX-Forwarded-Proto: ${scheme}\r\n` +
    `X-Forwarded-Host: ${authority}\r\nX-Forwarded-Port: ${peer.port}\r\n` +
    `X-Request-Id: ${requestId}\r\n\r\n`
  );
}

/** The head as the client gets it, in one piece. */
export function returnedHead(
  response: ResponseHead,
  request: RequestHead,
  keepAlive: boolean,
): string {
  const { text } = response;
  if (response.status === 101) return `${text}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  if (!keepAlive) return `${text}Connection: close\r\n\r\n`;
  return request.minor === 0 ? `${text}Connection: keep-alive\r\n\r\n` : `${text}\r\n`;
}

// RFC 9110, 9.2.2; those with a body could not be sent again from here.
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT']);

/** Whether the request may be sent a second time when no byte of an answer has come. */
export const mayRetry = ({ method, framing }: RequestHead): boolean =>
  framing === 'none' && idempotent.has(method);
