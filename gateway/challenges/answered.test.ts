import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { alpnChallengeId, challengeId, challenges, httpChallengeId } from '#contracts/challenge.ts';
import { eventually, GatewayProcesses } from '../../test/processes.ts';

/** Challenges as certificate authorities ask for them: over real sockets, at two worker processes. */

const host = 'a.pods.example.test';
const expiresAtMs = Date.now() + 600_000;
let edge: GatewayProcesses;

beforeAll(async () => {
  edge = await GatewayProcesses.start(['a']);
}, 30_000);
afterAll(() => edge.stop());

async function exchange(socket: net.Socket, path: string, name = host): Promise<string> {
  socket.setEncoding('utf8');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
  let answer = '';
  for await (const text of socket) answer += String(text);
  return answer;
}

async function plain(path: string, name = host): Promise<string> {
  const socket = net.connect(edge.gateway.httpPort, '127.0.0.1');
  await once(socket, 'connect');
  return exchange(socket, path, name);
}

const pathOf = (token: string): string => `/.well-known/acme-challenge/${token}`;

async function promise(token: string, name = host): Promise<void> {
  const keyAuthorization = `${token}.thumbprint`;
  await challenges(edge.store).put(
    httpChallengeId(name, token),
    { kind: 'http-01', host: name, token, keyAuthorization, expiresAtMs },
    'absent',
  );
}

test('http-01 is answered on the plain port and over TLS, as text, from the moment it is stored', async () => {
  await promise('at-once');
  for (let turn = 0; turn < 8; turn += 1) {
    const answer = await plain(pathOf('at-once'));
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain\r\n/);
    expect(answer).toMatch(/\r\n\r\nat-once\.thumbprint$/);
  }
  expect(await exchange(await edge.dial('a'), pathOf('at-once'))).toMatch(/at-once\.thumbprint$/);
});

test('a host that has no pod yet is answered as well, and one of another name is not', async () => {
  await promise('early', 'early.pods.example.test');
  expect(await plain(pathOf('early'), 'early.pods.example.test')).toMatch(/early\.thumbprint$/);
  expect(await plain(pathOf('early'), 'other.pods.example.test')).toMatch(/^HTTP\/1\.1 404 /);
  expect(await plain(pathOf('early'), 'elsewhere.test')).toMatch(/^HTTP\/1\.1 404 /);
});

test('a token that nobody here promised goes to the pod, on either port', async () => {
  const fromPod = /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n\w{12}$/;
  expect(await plain(pathOf('of-the-pod'))).toMatch(fromPod);
  expect(await exchange(await edge.dial('a'), pathOf('of-the-pod'))).toMatch(fromPod);
});

const dialAlpn = (pod: string) => edge.dial(pod, { ALPNProtocols: ['acme-tls/1'] });

test('tls-alpn-01 is answered with the certificate of RFC 8737, and nothing else', async () => {
  const challenge = { kind: 'tls-alpn-01', host, keyAuthorization: 'k.t', expiresAtMs } as const;
  await challenges(edge.store).put(challengeId(challenge), challenge, 'absent');
  for (let turn = 0; turn < 4; turn += 1) {
    const client = await dialAlpn('a');
    expect(client.alpnProtocol).toBe('acme-tls/1');
    const leaf = new X509Certificate(client.getPeerCertificate().raw);
    expect(leaf.subjectAltName).toBe(`DNS:${host}`);
    expect(leaf.verify(leaf.publicKey)).toBe(true);
    const digest = createHash('sha256').update('k.t').digest('hex');
    // id-pe-acmeIdentifier, critical, and the digest as an OCTET STRING in an OCTET STRING.
    expect(leaf.raw.toString('hex')).toContain(`06082b0601050507011f0101ff04220420${digest}`);
    client.resume();
    await once(client, 'close');
  }
  await challenges(edge.store).remove(alpnChallengeId(host), 'anything');
  await eventually(() =>
    dialAlpn('a').then(
      (client) => (client.destroy(), false),
      (error: unknown) => Reflect.get(Object(error), 'code') === noProtocol,
    ),
  );
});

const noProtocol = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';

test('without a pending challenge the handshake ends with the alert no_application_protocol', async () => {
  await expect(dialAlpn('nobody')).rejects.toMatchObject({ code: noProtocol });
});
