import type { Outgoing } from '../upstream/exchange.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** What the pod is told beyond the framing: the client's end-to-end fields, then ours. */
export const forwardedFields = ({ request, introduction, id }: Outgoing): string =>
  `${request.fields}${introduction}X-Request-Id: ${id}\r\n`;

/** The head as a pod that speaks HTTP/1.1 gets it, in one piece. */
export function forwardedHead(outgoing: Outgoing): string {
  const { method, target, authority, framing, length, websocket, minor } = outgoing.request;
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
  return (
    // A pod must not answer an HTTP/1.0 client in chunks, so it is asked in HTTP/1.0.
    `${method} ${target} HTTP/1.${minor}\r\nHost: ${authority}\r\n${body}${connection}` +
    `${forwardedFields(outgoing)}\r\n`
  );
}

/** The head as the client gets it, in one piece. `framing`: the field of a body that we frame. */
export function returnedHead(
  { status, text }: ResponseHead,
  { minor }: RequestHead,
  { keepAlive, framing }: { readonly keepAlive: boolean; readonly framing: string },
): string {
  if (status === 101) return `${text}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  if (!keepAlive) return `${text}${framing}Connection: close\r\n\r\n`;
  return minor === 0 ? `${text}${framing}Connection: keep-alive\r\n\r\n` : `${text}${framing}\r\n`;
}

// RFC 9110, 9.2.2; those with a body could not be sent again from here.
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT']);

/** Whether the request may be sent a second time when no byte of an answer has come. */
export const mayRetry = ({ method, framing }: RequestHead): boolean =>
  framing === 'none' && idempotent.has(method);
