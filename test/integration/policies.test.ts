import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from './standalone.ts';

/** What a network's owner asks of the gateway, from POST /v3/pods to the wire. */

let podgate: Standalone;
const host = 'shop.pods.localhost';

const program = `
require('node:http').createServer((request, response) => {
  if (request.url === '/png') response.setHeader('content-type', 'image/png');
  else response.setHeader('content-type', 'text/html');
  if (request.url === '/small') response.setHeader('content-length', '5');
  response.setHeader('access-control-allow-origin', 'https://pod.example');
  response.end(request.url === '/small' ? 'small' : 'a page of text '.repeat(1000));
}).listen(Number(process.env.PORT));
`;

beforeAll(async () => {
  podgate = await Standalone.start();
  await podgate.pod({
    pod_id: 'shop',
    image: 'podgate/process',
    command: [process.execPath, '-e', program],
  });
});
afterAll(() => podgate.stopAndForget());

/** Edits the pod's network; the gateway goes by it within moments, with no restart. */
async function ask(network: object): Promise<void> {
  const { status, envelope } = await podgate.call('PUT', '/v3/pods/shop', {
    networking: { default: { protocol: 'http', port: 5000, ...network } },
  });
  if (status !== 200) throw new Error(JSON.stringify(envelope));
}

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  podgate.request(host, path, { headers, method });

describe('proxy_compression', () => {
  test.each([
    ['zstd', zstdDecompressSync],
    ['br', brotliDecompressSync],
    ['gzip', gunzipSync],
  ])('is on by default: %s', async (coding, unpack) => {
    const { headers, body } = await get('/', { 'accept-encoding': coding });
    expect([headers['content-encoding'], headers['vary']]).toEqual([coding, 'Accept-Encoding']);
    expect(body.length).toBeLessThan(2_000);
    expect(unpack(body).toString()).toBe('a page of text '.repeat(1000));
  });

  test('leaves alone what is small or compressed already, and who does not ask', async () => {
    const all = { 'accept-encoding': 'zstd, br, gzip' };
    expect((await get('/small', all)).headers['content-encoding']).toBeUndefined();
    expect((await get('/png', all)).headers['content-encoding']).toBeUndefined();
    expect((await get('/')).headers['content-encoding']).toBeUndefined();
  });

  test('in the codings of the owner, from the size of the owner, and not at all', async () => {
    const all = { 'accept-encoding': 'zstd, br, gzip' };
    const coding = async (path: string): Promise<unknown> =>
      (await get(path, all)).headers['content-encoding'];
    await ask({
      proxy_compression_encodings: ['gzip'],
      proxy_compression_min_response_body_bytes: 1,
    });
    await expect.poll(() => coding('/small')).toBe('gzip');
    await ask({ proxy_compression_excluded_content_types: ['text/html'] });
    await expect.poll(() => coding('/')).toBeUndefined();
    await ask({ proxy_compression: false });
    await expect.poll(() => coding('/')).toBeUndefined();
  });
});

test('cors_*: preflights are answered, the pod’s own rules replaced', async () => {
  await ask({
    cors_allow_origins: ['https://app.example.org'],
    cors_allow_methods: ['GET', 'PUT'],
    cors_allow_headers: ['Authorization'],
    cors_allow_credentials: true,
    cors_max_age: 60,
  });
  const origin = 'https://app.example.org';
  const asks = { origin, 'access-control-request-method': 'PUT' };
  await expect.poll(async () => (await get('/', asks, 'OPTIONS')).status).toBe(204);
  expect((await get('/', asks, 'OPTIONS')).headers).toMatchObject({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, PUT',
    'access-control-allow-headers': 'Authorization',
    'access-control-allow-credentials': 'true',
    'access-control-max-age': '60',
  });
  expect((await get('/', { origin })).headers['access-control-allow-origin']).toBe(origin);
  const stranger = await get('/', { origin: 'https://evil.example' });
  expect(stranger.headers['access-control-allow-origin']).toBeUndefined();
});

test('ip_allow_list: real CIDR, of both families', async () => {
  const status = async (): Promise<number> => (await get('/')).status;
  await ask({ ip_allow_list: ['203.0.113.0/24', '2001:db8::/32'] });
  await expect.poll(status).toBe(403);
  const refused = await get('/', { accept: 'text/html' });
  expect(refused.body.toString()).toMatch(/^<!doctype html>[^]*EDGE_NOT_ALLOWED/);
  await ask({ ip_allow_list: ['203.0.113.0/24', '127.0.0.0/8'] });
  await expect.poll(status).toBe(200);
});

test('what cannot be done is refused and nothing changes', async () => {
  const { status, envelope } = await podgate.call('PUT', '/v3/pods/shop', {
    networking: { default: { ip_allow_list: ['127.0.0.0/33'] } },
  });
  expect([status, JSON.stringify(envelope.message)]).toEqual([
    400,
    expect.stringContaining('body, networking, default, ip_allow_list, 0: must be an IPv4 or IPv6'),
  ]);
  expect((await get('/')).status).toBe(200);
});

test('a pod that is off says so in the language of who asks', async () => {
  await podgate.call('GET', '/v3/pods/shop/stop');
  await podgate.state('shop', 'STOPPED');
  expect(JSON.parse((await get('/')).body.toString())).toMatchObject({ code: 'EDGE_POD_STOPPED' });
  const page = await get('/', { accept: 'text/html,application/xhtml+xml' });
  expect(page.headers['content-type']).toMatch(/^text\/html/);
});
