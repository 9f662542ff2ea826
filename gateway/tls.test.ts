import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Identity } from './tls.ts';
import { Presented } from './tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'podgate-tls-'));
const master = Buffer.alloc(32, 1);
let identity: Identity;

beforeAll(() => {
  const argv =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
    '-days 2 -subj /CN=t -addext subjectAltName=DNS:a.test,DNS:*.wild.test';
  execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  identity = { chain: read('c.pem'), key: read('k.pem') };
});
afterAll(() => rmSync(folder, { recursive: true }));

const contextOf = (host: string, ticketMaster: Buffer): SecureContext =>
  new Presented(identity, host, ticketMaster).context;

/** The cipher that a client with this list gets, or undefined when there is none for it. */
async function cipherFor(options: tls.ConnectionOptions): Promise<string | undefined> {
  const context = contextOf('a.test', master);
  const server = net.createServer((raw) => {
    const socket = new tls.TLSSocket(raw, { isServer: true, secureContext: context });
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const target = { host: '127.0.0.1', port, servername: 'a.test', ca: identity.chain };
  const client = tls.connect({ ...target, ...options });
  try {
    await once(client, 'secureConnect');
    return client.getCipher().name;
  } catch {
    return undefined;
  } finally {
    client.destroy();
    server.close();
  }
}

test('our order of ciphers decides, but for clients that want ChaCha20; the rest is not offered', async () => {
  const [aes128, aes256] = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384'];
  const chacha = 'ECDHE-ECDSA-CHACHA20-POLY1305';
  const older = { maxVersion: 'TLSv1.2' } as const;
  expect(await cipherFor({ ...older, ciphers: `${aes256}:${aes128}` })).toBe(aes128);
  expect(await cipherFor({ ...older, ciphers: `${chacha}:${aes128}` })).toBe(chacha);
  expect(await cipherFor({ ...older, ciphers: `${aes256}:${chacha}` })).toBe(aes256);
  expect(await cipherFor({ ...older, ciphers: 'ECDHE-ECDSA-AES256-SHA384' })).toBeUndefined();
  expect(await cipherFor({ ...older, ciphers: 'AES256-GCM-SHA384' })).toBeUndefined();
  expect(await cipherFor({})).toMatch(/^TLS_AES_128/);
});

/** Whether a session begun with one context goes on with another, at one and the same name. */
async function resumes(first: SecureContext, second: SecureContext): Promise<boolean> {
  let context = first;
  const server = net.createServer((raw) => {
    const socket = new tls.TLSSocket(raw, { isServer: true, secureContext: context });
    socket.on('error', () => undefined);
    socket.on('secure', () => socket.write('x'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const visit = async (session?: Buffer): Promise<{ reused: boolean; session: Buffer }> => {
    const options = { host: '127.0.0.1', port, servername: 'a.test', ca: identity.chain };
    const client = tls.connect({ ...options, ...(session ? { session } : {}) });
    const [ticket]: Buffer[] = session ? [session] : await once(client, 'session');
    if (session) await once(client, 'secureConnect');
    const reused = client.isSessionReused();
    client.destroy();
    return { reused, session: ticket ?? Buffer.alloc(0) };
  };
  const { session } = await visit();
  context = second;
  const { reused } = await visit(session);
  server.close();
  return reused;
}

// OpenSSL compares the names as well; this is about the keys alone.
test('two workers resume sessions of a host of each other, two hosts never, nor another gateway', async () => {
  const a = contextOf('a.test', master);
  expect(await resumes(a, contextOf('a.test', master))).toBe(true);
  expect(await resumes(a, contextOf('b.test', master))).toBe(false);
  expect(await resumes(a, contextOf('a.test', Buffer.alloc(32, 2)))).toBe(false);
});

test.each([
  ['a.test', true],
  ['A.test', true],
  ['b.test', false],
  ['x.a.test', false],
  ['pod.wild.test', true],
  ['a.pod.wild.test', false],
  ['wild.test', false],
  ['t', false], // the subject's common name
])('the certificate of a.test and *.wild.test is good for %s: %s', (host, good) => {
  expect(new Presented(identity, 'a.test', master).covers(host)).toBe(good);
});
