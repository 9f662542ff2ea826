import { isIP, SocketAddress } from 'node:net';

/**
 * The header of the PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt), by which a
 * balancer in front says whose connection it passes on.
 */
export interface ProxyHeader {
  /** The client's address; undefined: the balancer speaks for itself (a health check) or cannot tell. */
  readonly address: string | undefined;
  /** Where the client's own bytes begin. */
  readonly end: number;
}

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const signature1 = Buffer.from('PROXY ', 'latin1');
const head2Bytes = 16;
const line1BytesMax = 107; // 2.1, with its CRLF
const line1 = /^PROXY (?:(TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})|UNKNOWN(?: [ -~]*)?)$/;

/** Reads a header that may still be coming in. Nothing is guessed: what is odd is refused. */
export function proxyHeader(
  bytes: Buffer,
  { proxyHeaderBytesMax }: { readonly proxyHeaderBytesMax: number },
): ProxyHeader | 'incomplete' | 'refused' {
  if (startsLike(bytes, signature)) return version2(bytes, proxyHeaderBytesMax);
  return startsLike(bytes, signature1) ? version1(bytes) : 'refused';
}

/** Whether all bytes that are there are those of `start`. */
const startsLike = (bytes: Buffer, start: Buffer): boolean =>
  bytes.subarray(0, start.length).equals(start.subarray(0, bytes.length));

function version1(bytes: Buffer): ProxyHeader | 'incomplete' | 'refused' {
  const end = bytes.subarray(0, line1BytesMax).indexOf('\r\n');
  if (end < 0) return bytes.length < line1BytesMax ? 'incomplete' : 'refused';
  const fields = line1.exec(bytes.toString('latin1', 0, end));
  if (!fields) return 'refused';
  const [, family, source = '', destination = '', ...ports] = fields;
  if (family === undefined) return { address: undefined, end: end + 2 };
  const version = family === 'TCP4' ? 4 : 6;
  const known = [source, destination].every((address) => isIP(address) === version);
  if (!known || source.includes('%') || !ports.every(isPort)) return 'refused';
  return { address: canonical(source), end: end + 2 };
}

const isPort = (text: string | undefined): boolean =>
  text !== undefined && /^(0|[1-9]\d*)$/.test(text) && Number(text) <= 65_535;

const version2Local = 0x20;
const version2Proxy = 0x21;
const unspecified = 0x00;
const tcp4 = 0x11;
const tcp6 = 0x21;

/** 2.2: behind the addresses may stand more (TLV), which is passed over. */
function version2(bytes: Buffer, bytesMax: number): ProxyHeader | 'incomplete' | 'refused' {
  const command = bytes[12] ?? version2Proxy;
  if (command !== version2Local && command !== version2Proxy) return 'refused';
  if (bytes.length < head2Bytes) return 'incomplete';
  const family = bytes[13];
  const length = bytes.readUInt16BE(14);
  const end = head2Bytes + length;
  if (end > bytesMax) return 'refused';
  if (bytes.length < end) return 'incomplete';
  if (command === version2Local || family === unspecified) return { address: undefined, end };
  const addressBytes = family === tcp4 ? 4 : family === tcp6 ? 16 : undefined;
  // Two addresses and two ports. Datagrams and sockets of Unix are no clients of ours.
  if (addressBytes === undefined || length < 2 * addressBytes + 4) return 'refused';
  return { address: written(bytes.subarray(head2Bytes, head2Bytes + addressBytes)), end };
}

function written(address: Buffer): string {
  if (address.length === 4) return address.join('.');
  const groups = address.toString('hex').match(/.{4}/g) ?? [];
  return canonical(groups.join(':'));
}

/** One spelling for each address (RFC 5952): addresses are compared and counted as text. */
const canonical = (address: string): string =>
  isIP(address) === 6 ? new SocketAddress({ address, family: 'ipv6' }).address : address;
