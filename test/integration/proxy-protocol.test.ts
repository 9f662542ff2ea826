import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Standalone } from './standalone.ts';

/** A balancer on 127.0.0.1 is trusted; ::1 is anybody. */

let podgate: Standalone;
const version1 = Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 12345 443\r\n');
const version2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000209cb00710130391fbb', 'hex');
const ofAnother = Buffer.from('PROXY TCP6 2001:db8::9 2001:db8::1 12345 443\r\n');
const healthCheck = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');

beforeAll(async () => {
  podgate = await Standalone.start({
    env: { PODGATE_PROXY_PROTOCOL: 'on', PODGATE_TRUSTED_PROXIES: '127.0.0.1' },
  });
  await podgate.state('hello', 'AVAILABLE');
});
afterAll(() => podgate.stopAndForget());

async function dial(port: number, header: Buffer, host = '127.0.0.1'): Promise<net.Socket> {
  const socket = net.connect({ host, port });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(header);
  return socket;
}

async function rest(socket: net.Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
  if (!socket.closed) await once(socket, 'close');
  return text;
}

/** What the pod is told of a client that comes with this header, or the error of the handshake. */
async function forwardedFor(
  header: Buffer,
  { host = 'hello.pods.localhost', from = '127.0.0.1' } = {},
): Promise<string> {
  const raw = await dial(podgate.ports.https, header, from);
  const socket = tls.connect({ socket: raw, servername: host, ca: podgate.ca });
  try {
    await once(socket, 'secureConnect');
  } catch (error) {
    return String(error);
  }
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const page = await rest(socket);
  return /x-forwarded-for<td>([0-9a-f.:]+)/.exec(page)?.[1] ?? page;
}

test.each([
  ['1', version1, '192.0.2.9'],
  ['2', version2, '192.0.2.9'],
  ['1 over IPv6', ofAnother, '2001:db8::9'],
  ['2, the balancer itself', healthCheck, '127.0.0.1'],
])('version %s: the pod hears of the client', async (_name, header, expected) => {
  expect(await forwardedFor(header)).toBe(expected);
});

test('a trusted source without a header is closed, others must not have one', async () => {
  expect(await forwardedFor(Buffer.alloc(0))).toMatch(/socket|ECONNRESET/);
  expect(await forwardedFor(Buffer.alloc(0), { from: '::1' })).toBe('::1');
  for (const header of [version1, version2]) {
    expect(await forwardedFor(header, { from: '::1' })).toMatch(/^Error/);
  }
});

test('the plain port as well', async () => {
  const request = 'GET / HTTP/1.1\r\nHost: hello.pods.localhost\r\nConnection: close\r\n\r\n';
  const { http } = podgate.ports;
  for (const header of [version1, version2]) {
    const answer = await rest(await dial(http, Buffer.concat([header, Buffer.from(request)])));
    expect(answer).toMatch(/^HTTP\/1\.1 308 /);
    const stranger = await dial(http, Buffer.concat([header, Buffer.from(request)]), '::1');
    expect(await rest(stranger)).toMatch(/^HTTP\/1\.1 400 /);
  }
  expect(await rest(await dial(http, Buffer.from(request)))).toBe('');
});

test('the allow list judges the client, not the balancer', async () => {
  await podgate.pod({
    pod_id: 'listed',
    image: 'podgate/hello',
    networking: { default: { protocol: 'tcp', port: 9000, ip_allow_list: ['192.0.2.0/24'] } },
  });
  const host = 'listed.pods.localhost';
  expect(await forwardedFor(version2, { host })).toMatch(/^HTTP\/1\.1 200 /);
  expect(await forwardedFor(ofAnother, { host })).toMatch(/access.denied/);
});
