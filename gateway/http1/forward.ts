import type { Outgoing } from '../upstream/exchange.ts';
import type { Peer } from './context.ts';
import { forwarding } from './forwarding.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** What the pod is told beyond the framing: the client's end-to-end fields, then ours. */
export function forwardedFields({ request, peer, id }: Outgoing, header: boolean): string {
  return `${request.fields}${tellOf(request, peer, header)}X-Request-Id: ${id}\r\n`;
}

interface Told {
  readonly authority: string;
  readonly header: boolean;
  readonly fields: string;
}

/** What was said last of each client's connection: mostly its next request is for the same host. */
const toldBefore = new WeakMap<Peer, Told>();

/** What we say of the client, as field lines. */
function tellOf(request: RequestHead, peer: Peer, header: boolean): string {
  const { authority } = request;
  if (request.forwarded) return forwardingFields(request, peer, header);
  const before = toldBefore.get(peer);
  if (before?.authority === authority && before.header === header) return before.fields;
  const fields = forwardingFields(request, peer, header);
  toldBefore.set(peer, { authority, header, fields });
  return fields;
}

function forwardingFields(request: RequestHead, peer: Peer, header: boolean): string {
  const { chain, proto, host, port } = forwarding(request, peer);
  return (
    `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${proto}\r\n` +
    `X-Forwarded-Host: ${host}\r\nX-Forwarded-Port: ${port}\r\n` +
    (header ? forwardedField(chain, proto, host) : '')
  );
}

/** RFC 7239, 4; an IPv6 address stands in brackets and quotes. */
function forwardedField(chain: string, proto: string, host: string): string {
  const hops = chain
    .split(', ')
    .map((hop) => (hop.includes(':') ? `for="[${hop}]"` : `for=${hop}`));
  return `Forwarded: ${hops.join(', ')};host="${host}";proto=${proto}\r\n`;
}

/** The head as a pod that speaks HTTP/1.1 gets it, in one piece. */
export function forwardedHead(outgoing: Outgoing, header: boolean): string {
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
    `${forwardedFields(outgoing, header)}\r\n`
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
