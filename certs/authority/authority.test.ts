import 'reflect-metadata';
import { spawnSync } from 'node:child_process';
import { webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import * as x509 from '@peculiar/x509';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { SealBroken, zSealed } from '#contracts/sealer.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { AuthorityPorts } from './authority.ts';
import { openAuthority } from './authority.ts';

const dayMs = 24 * 60 * 60 * 1000;
const domain = 'example.org';

let folder: string;
let clock: ManualClock;
let ports: AuthorityPorts;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-authority-'));
  // OpenSSL and TLS peers compare with the real time.
  clock = new ManualClock(Date.now());
  const sealer = openSealer(join(folder, 'secret.key'));
  ports = { store: new MemoryStore(), sealer, clock, random: systemRandom };
});
afterEach(() => rmSync(folder, { recursive: true }));

const certificatesIn = (chain: string): X509Certificate[] =>
  chain
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter(Boolean)
    .map((pem) => new X509Certificate(pem));

/** What `openssl verify` says of a chain, with the root as the only thing trusted. */
function verify(rootPem: string, chain: string): string {
  writeFileSync(join(folder, 'root.pem'), rootPem);
  writeFileSync(join(folder, 'chain.pem'), chain);
  const trust = ['-no-CApath', '-no-CAstore', '-CAfile', 'root.pem', '-untrusted', 'chain.pem'];
  const argv = ['verify', '-x509_strict', '-purpose', 'sslserver', ...trust, 'chain.pem'];
  const { stdout, stderr } = spawnSync('openssl', argv, { cwd: folder, encoding: 'utf8' });
  return stdout + stderr;
}

function describeWithOpenssl(pem: string): string {
  const argv = ['x509', '-noout', '-text'];
  return spawnSync('openssl', argv, { input: pem, encoding: 'utf8' }).stdout;
}

test('openssl accepts names of the domain, also the wildcard and the domain itself', async () => {
  const { rootPem, issue } = await openAuthority(ports, domain);
  for (const host of [domain, `a.pods.${domain}`, `*.pods.${domain}`])
    expect(verify(rootPem, (await issue([host])).chain)).toMatch(/^chain.pem: OK/);
});

test.each(['example.com', 'badexample.org', 'pods.example.org.evil.net', '*.com'])(
  'a leaf for %s is refused by the name constraints',
  async (host) => {
    const { rootPem, issue } = await openAuthority(ports, domain);
    const inside = await issue([`a.${domain}`]);
    const outside = await issue([`a.${domain}`, host]);
    expect(verify(rootPem, inside.chain)).toMatch(/OK/);
    expect(verify(rootPem, outside.chain)).toMatch(/permitted subtree violation/);
  },
);

test.each(['192.0.2.1', '2001:db8::1'])('a leaf for the address %s is refused', async (address) => {
  const { rootPem, issue } = await openAuthority(ports, domain);
  const { chain } = await issue([domain]);
  const parentPem = chain.slice(chain.indexOf('-----BEGIN', 1));
  // The authority itself cannot be asked for it; a thief of the intermediate's key could.
  const id = `intermediate/${domain}`;
  const zStolen = z.object({ key: zSealed });
  const { key } = zStolen.parse((await ports.store.get('authority', id))?.value);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(ports.sealer.open(key, `authority/${id}/key`)),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  );
  const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const leaf = await x509.X509CertificateGenerator.create({
    issuer: new x509.X509Certificate(parentPem).subject,
    notBefore: new Date(Date.now() - 1000),
    notAfter: new Date(Date.now() + dayMs),
    publicKey: pair.publicKey,
    signingKey,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: address }], true),
      await x509.AuthorityKeyIdentifierExtension.create(
        new x509.X509Certificate(parentPem).publicKey,
      ),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  const forged = `${leaf.toString('pem').trimEnd()}\n${parentPem}`;
  expect(verify(rootPem, forged)).toMatch(/excluded subtree violation/);
});

test('another authority of the same domain is not trusted', async () => {
  const { chain } = await (await openAuthority(ports, domain)).issue([domain]);
  const other = await openAuthority({ ...ports, store: new MemoryStore() }, domain);
  expect(verify(other.rootPem, chain)).not.toMatch(/OK/);
});

test('a client that trusts only the root reaches a server with a leaf, and no other host', async () => {
  const { rootPem, issue } = await openAuthority(ports, domain);
  const { chain, key } = await issue([`a.pods.${domain}`]);
  const server = tls.createServer({ cert: chain, key }, (socket) => socket.end('hello'));
  server.on('tlsClientError', () => undefined);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const read = async (servername: string, ca: string): Promise<string> => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername, ca });
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return text;
  };
  try {
    expect(await read(`a.pods.${domain}`, rootPem)).toBe('hello');
    await expect(read(`b.pods.${domain}`, rootPem)).rejects.toThrow(/altnames/);
    const other = await openAuthority({ ...ports, store: new MemoryStore() }, domain);
    await expect(read(`a.pods.${domain}`, other.rootPem)).rejects.toThrow(/certificate/);
  } finally {
    server.close();
  }
});

test('root, intermediate and leaf say what they are for, and no more', async () => {
  const { rootPem, issue } = await openAuthority(ports, domain);
  const { chain } = await issue([`a.pods.${domain}`]);
  const [leaf, intermediate] = chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  const constraints =
    /Name Constraints: critical\s+Permitted:\s+DNS:example.org\s+Excluded:\s+IP:0.0.0.0\/0.0.0.0\s+IP:/;
  const authorityUsage = /Key Usage: critical\s+Certificate Sign, CRL Sign/;
  const rootText = describeWithOpenssl(rootPem);
  expect(rootText).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:1/);
  expect(rootText).toMatch(authorityUsage);
  expect(rootText).toMatch(constraints);
  const intermediateText = describeWithOpenssl(intermediate ?? '');
  expect(intermediateText).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
  expect(intermediateText).toMatch(authorityUsage);
  expect(intermediateText).toMatch(constraints);
  const leafText = describeWithOpenssl(leaf ?? '');
  expect(leafText).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
  expect(leafText).toMatch(/Key Usage: critical\s+Digital Signature\n/);
  expect(leafText).toMatch(/Extended Key Usage:\s+TLS Web Server Authentication\n/);
  expect(leafText).toMatch(/Alternative Name: critical\s+DNS:a.pods.example.org\n/);
  for (const text of [rootText, intermediateText, leafText]) {
    expect(text).toMatch(/ASN1 OID: prime256v1/);
    expect(text).toMatch(/Subject Key Identifier/);
  }
  for (const text of [intermediateText, leafText]) expect(text).toMatch(/Authority Key Identifier/);
});

test('a leaf is valid a little before it was made, for 30 days, with its own key and serial', async () => {
  const { issue } = await openAuthority(ports, domain);
  const made = [await issue([domain]), await issue([domain])];
  for (const { chain, key, notBeforeMs, notAfterMs } of made) {
    const [leaf] = certificatesIn(chain);
    expect(leaf?.validFromDate.getTime()).toBe(notBeforeMs);
    expect(leaf?.validToDate.getTime()).toBe(notAfterMs);
    expect(clock.nowMs() - notBeforeMs).toBeGreaterThan(5 * 60 * 1000);
    expect(notAfterMs - notBeforeMs).toBe(30 * dayMs);
    expect(key).toContain('BEGIN PRIVATE KEY');
  }
  const [a, b] = made.map(({ chain }) => certificatesIn(chain)[0]);
  expect(a?.serialNumber).not.toBe(b?.serialNumber);
  expect(a?.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  expect(made[0]?.key).not.toBe(made[1]?.key);
});

test('opened again it is the same authority', async () => {
  const first = await openAuthority(ports, domain);
  const again = await openAuthority(ports, domain);
  expect(again.rootPem).toBe(first.rootPem);
  expect(verify(first.rootPem, (await again.issue([domain])).chain)).toMatch(/OK/);
});

test('of many opened at once all have one root and one intermediate', async () => {
  const all = await Promise.all(Array.from({ length: 8 }, () => openAuthority(ports, domain)));
  expect(new Set(all.map(({ rootPem }) => rootPem)).size).toBe(1);
  const chains = await Promise.all(all.map(({ issue }) => issue([domain])));
  const signers = chains.map(({ chain }) => certificatesIn(chain)[1]?.fingerprint256);
  expect(new Set(signers).size).toBe(1);
});

test('the intermediate is replaced well before its end, the root never, and old leaves stay good', async () => {
  const { rootPem, issue } = await openAuthority(ports, domain);
  const old = await issue([domain]);
  const signer = async () => certificatesIn((await issue([domain])).chain)[1];
  const first = await signer();
  await clock.advance(700 * dayMs);
  expect((await signer())?.fingerprint256).toBe(first?.fingerprint256);
  await clock.advance(60 * dayMs);
  const second = await signer();
  expect(second?.fingerprint256).not.toBe(first?.fingerprint256);
  expect((await signer())?.fingerprint256).toBe(second?.fingerprint256);
  expect((await openAuthority(ports, domain)).rootPem).toBe(rootPem);
  expect(second?.checkIssued(new X509Certificate(rootPem))).toBe(true);
  expect(verify(rootPem, old.chain)).toMatch(/OK/);
});

test('near the end of the root nothing outlives what signed it', async () => {
  const { rootPem, issue } = await openAuthority(ports, domain);
  const rootEnd = new X509Certificate(rootPem).validToDate.getTime();
  await clock.advance(rootEnd - clock.nowMs() - 10 * dayMs);
  const [leaf, intermediate] = certificatesIn((await issue([domain])).chain);
  expect(intermediate?.validToDate.getTime()).toBeLessThanOrEqual(rootEnd);
  expect(leaf?.validToDate.getTime()).toBeLessThanOrEqual(rootEnd);
  // And it is not made anew for every leaf.
  const [, next] = certificatesIn((await issue([domain])).chain);
  expect(next?.fingerprint256).toBe(intermediate?.fingerprint256);
});

test('no private key is stored in the clear', async () => {
  const { issue } = await openAuthority(ports, domain);
  await issue([domain]);
  const stored = JSON.stringify(await ports.store.list('authority'));
  expect(stored).toContain('BEGIN CERTIFICATE');
  expect(stored).not.toContain('PRIVATE KEY');
});

test('without the key that sealed it the authority does not open, and is not replaced', async () => {
  const before = await openAuthority(ports, domain);
  const stranger = { ...ports, sealer: openSealer(join(folder, 'other.key')) };
  await expect(openAuthority(stranger, domain)).rejects.toThrow(SealBroken);
  expect((await openAuthority(ports, domain)).rootPem).toBe(before.rootPem);
});

test('a long domain keeps its constraints well-formed', async () => {
  const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.example`;
  const { rootPem, issue } = await openAuthority(ports, long);
  expect(verify(rootPem, (await issue([`x.${long}`])).chain)).toMatch(/OK/);
  expect(verify(rootPem, (await issue(['x.example'])).chain)).toMatch(/permitted subtree/);
});
