import { isIP } from 'node:net';
import { inBlocks } from '../allowed.ts';
import type { Peer } from './context.ts';
import { authority } from './fields.ts';
import type { RequestHead } from './request-head.ts';

/** What pods are told of where a request came from. */
interface Forwarding {
  /** The addresses it came through, the newest last, as X-Forwarded-For has them. */
  readonly chain: string;
  readonly proto: string;
  readonly host: string;
  readonly port: string;
}

/** Introduces a client to its pods. What was said last is kept: mostly the next request is for the same host. */
export class Introductions {
  readonly #peer: Peer;
  readonly #header: boolean;
  #authority = '';
  #fields = '';

  /** `header`: with `Forwarded` (RFC 7239) as well. */
  constructor(peer: Peer, header: boolean) {
    this.#peer = peer;
    this.#header = header;
  }

  /** The field lines that say where a request came from, each with CRLF. */
  of(request: Said): string {
    if (request.forwarded) return this.#write(request);
    if (request.authority !== this.#authority) {
      // A copy: a part of a text keeps all of it in memory.
      this.#authority = Buffer.from(request.authority, 'latin1').toString('latin1');
      this.#fields = this.#write({ authority: this.#authority, forwarded: undefined });
    }
    return this.#fields;
  }

  #write(request: Said): string {
    const { chain, proto, host, port } = forwarding(request, this.#peer);
    const lines = [
      `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${proto}\r\n`,
      `X-Forwarded-Host: ${host}\r\nX-Forwarded-Port: ${port}\r\n`,
      this.#header ? forwardedField(chain, proto, host) : '',
    ];
    // Joined it is one text; put together by `+` it would be kept in pieces.
    return lines.join('');
  }
}

/** RFC 7239, 4; an IPv6 address stands in brackets and quotes. */
function forwardedField(chain: string, proto: string, host: string): string {
  const hops = chain
    .split(', ')
    .map((hop) => (hop.includes(':') ? `for="[${hop}]"` : `for=${hop}`));
  return `Forwarded: ${hops.join(', ')};host="${host}";proto=${proto}\r\n`;
}

type Said = Pick<RequestHead, 'forwarded' | 'authority'>;

/** The word of a trusted proxy where there is one that makes sense; else what we see ourselves. */
export function forwarding(request: Said, peer: Peer): Forwarding {
  const own = {
    chain: peer.address,
    proto: peer.sni === undefined ? 'http' : 'https',
    host: request.authority,
    port: String(peer.port),
  };
  const said = believed(request, peer);
  if (!said) return own;
  const { for: before, proto, host, port } = said;
  const hops = hopsOf(before);
  return {
    chain: [...hops, peer.address].join(', '),
    proto: proto === 'http' || proto === 'https' ? proto : own.proto,
    host: host !== undefined && authority.test(host) ? host : own.host,
    port: port !== undefined && /^\d{1,5}$/.test(port) ? port : own.port,
  };
}

/** The address that asks: behind trusted proxies the last one that is none of them. */
export function clientOf(request: Pick<RequestHead, 'forwarded'>, peer: Peer): string {
  const said = believed(request, peer);
  if (!said) return peer.address;
  return hopsOf(said.for).findLast((hop) => !inBlocks(peer.trustedProxies, hop)) ?? peer.address;
}

function believed({ forwarded }: Pick<RequestHead, 'forwarded'>, peer: Peer) {
  return forwarded && inBlocks(peer.trustedProxies, peer.address) ? forwarded : undefined;
}

/** A hop that is no address makes all before it worthless: they cannot be told from invention. */
function hopsOf(written: string | undefined): string[] {
  const hops = (written ?? '').split(',').map((hop) => hop.trim());
  const bad = hops.findLastIndex((hop) => isIP(hop) === 0);
  return hops.slice(bad + 1);
}
