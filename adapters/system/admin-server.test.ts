import net from 'node:net';
import { once } from 'node:events';
import { Counter, Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import type { AdminEndpoint } from '#contracts/admin.ts';
import type { AdminServer } from './admin-server.ts';
import { startAdminServer } from './admin-server.ts';

const token = 'a-token-of-the-operator';
let server: AdminServer;
let reason: string | undefined;
afterEach(async () => {
  reason = undefined;
  await server.stop();
});

const explain: AdminEndpoint = {
  path: '/explain',
  confidential: true,
  answer: (query) => ({ status: 200, body: { asked: query.get('host') } }),
};
const broken: AdminEndpoint = {
  path: '/broken',
  confidential: false,
  answer: () => {
    throw new Error('a bug');
  },
};

/** On all addresses or on loopback, with the parts `api` and `gateway`. */
async function start(host: string, given: string | undefined): Promise<void> {
  const registry = new Registry();
  new Counter({ name: 'a_total', help: 'A.', registers: [registry] }).inc(3);
  const parts = [
    { name: 'api', problem: () => undefined },
    { name: 'gateway', problem: () => reason },
  ];
  server = await startAdminServer(
    { host, port: 0, token: given },
    { registry, parts, endpoints: [explain, broken] },
  );
}

const get = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`http://127.0.0.1:${server.port}${path}`, init);

/** What comes back for bytes as they are: fetch sends no strange targets and no foreign Host. */
async function raw(text: string): Promise<string> {
  const socket = net.connect(server.port, '127.0.0.1');
  socket.end(text);
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  await once(socket, 'close');
  return answer;
}

/** /explain, asked by that Host. */
const askAs = (host: string): Promise<string> =>
  raw(`GET /explain HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

test('it is alive, ready, and has metrics', async () => {
  await start('127.0.0.1', undefined);
  expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' });
  const ready = await get('/readyz');
  expect(ready.status).toBe(200);
  expect(await ready.json()).toEqual({
    status: 'ready',
    parts: [
      { name: 'api', ready: true },
      { name: 'gateway', ready: true },
    ],
  });
  const metrics = await get('/metrics');
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = await metrics.text();
  expect(text).toContain('\na_total 3\n');
  expect(text).toContain('\npodgate_part_ready{part="gateway"} 1\n');
});

test('a part that does not do its work makes it unready, with the reason', async () => {
  await start('127.0.0.1', undefined);
  reason = 'worker 1 is starting';
  const answer = await get('/readyz');
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    status: 'not ready',
    parts: [
      { name: 'api', ready: true },
      { name: 'gateway', ready: false, reason },
    ],
  });
  expect(await (await get('/metrics')).text()).toContain('podgate_part_ready{part="gateway"} 0');
  expect((await get('/healthz')).status).toBe(200);
});

test('without a part that it can do without it is ready, and says which is missing', async () => {
  const parts = [
    { name: 'gateway', problem: () => reason },
    { name: 'store', dispensable: true, problem: () => 'it is away' },
  ];
  const pages = { registry: new Registry(), parts, endpoints: [] };
  server = await startAdminServer({ host: '127.0.0.1', port: 0, token: undefined }, pages);
  reason = undefined;
  const answer = await get('/readyz');
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({
    status: 'ready, but not all is there',
    parts: [
      { name: 'gateway', ready: true },
      { name: 'store', ready: false, reason: 'it is away' },
    ],
  });
  reason = 'it hangs';
  expect((await get('/readyz')).status).toBe(503);
});

test('other paths are told which there are, other methods that GET is meant', async () => {
  await start('127.0.0.1', undefined);
  const absent = await get('/metric');
  expect(absent.status).toBe(404);
  const paths = ['/healthz', '/readyz', '/metrics', '/explain', '/broken'];
  expect(await absent.json()).toMatchObject({ paths });
  const post = await get('/metrics', { method: 'POST', body: 'x' });
  expect(post.status).toBe(405);
  expect(post.headers.get('allow')).toBe('GET, HEAD');
  const head = await get('/metrics', { method: 'HEAD' });
  expect(head.status).toBe(200);
  expect(Number(head.headers.get('content-length'))).toBeGreaterThan(10);
  expect(await head.text()).toBe('');
});

test('strange targets and a bug in an endpoint end nothing', async () => {
  await start('127.0.0.1', undefined);
  for (const target of ['*', '//', 'http://[', '/%', 'x:y', '/\u00e4']) {
    const answer = await raw(`OPTIONS ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer, target).toMatch(/^HTTP\/1\.1 40[045] /);
  }
  expect((await get('/broken')).status).toBe(500);
  expect((await get('/healthz')).status).toBe(200);
});

test('heads are bounded', async () => {
  await start('127.0.0.1', undefined);
  const answer = await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
});

test('on loopback no token is asked for, but a name that a stranger gave to loopback is refused', async () => {
  await start('127.0.0.1', token);
  const shown = await get('/explain?host=a.test');
  expect(await shown.json()).toEqual({ asked: 'a.test' });
  expect(await askAs('rebound.example.org')).toMatch(/^HTTP\/1\.1 403 /);
  for (const host of ['localhost:9100', '127.0.0.1', '[::1]:9100']) {
    expect(await askAs(host), host).toMatch(/^HTTP\/1\.1 200 /);
  }
});

test('beyond loopback what is confidential needs the token, the rest does not', async () => {
  await start('0.0.0.0', token);
  const none = await get('/explain?host=a.test');
  expect(none.status).toBe(401);
  expect(none.headers.get('www-authenticate')).toBe('Bearer');
  const authorized = (authorization: string): Promise<Response> =>
    get('/explain?host=a.test', { headers: { authorization } });
  for (const bad of ['Bearer', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, token]) {
    expect((await authorized(bad)).status, bad).toBe(401);
  }
  expect((await authorized(`Bearer ${token}`)).status).toBe(200);
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    expect((await get(path)).status, path).toBe(200);
  }
});

test('beyond loopback and without a token nobody gets it, and is told what to set', async () => {
  await start('0.0.0.0', undefined);
  for (const authorization of ['', 'Bearer ', 'Bearer undefined']) {
    const answer = await get('/explain', { headers: { authorization } });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('PODGATE_ADMIN_TOKEN');
  }
});

test('a port that is taken is named by the error', async () => {
  await start('127.0.0.1', undefined);
  const again = startAdminServer(
    { host: '127.0.0.1', port: server.port, token: undefined },
    { registry: new Registry(), parts: [], endpoints: [] },
  );
  await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE', port: server.port });
});
