import { once } from 'node:events';
import http2 from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Standalone } from './standalone.ts';

/** HTTP/2 from POST /v3/pods to the wire, through both workers' real processes. */

let podgate: Standalone;
beforeAll(async () => {
  podgate = await Standalone.start();
  await podgate.state('hello', 'AVAILABLE');
});
afterAll(() => podgate.stopAndForget());

async function session(pod: string): Promise<http2.ClientHttp2Session> {
  const name = `${pod}.pods.localhost`;
  const socket = podgate.connect(name, ['h2', 'http/1.1']);
  await once(socket, 'secureConnect');
  expect(socket.alpnProtocol).toBe('h2');
  return http2.connect(`https://${name}`, { createConnection: () => socket });
}

async function get(client: http2.ClientHttp2Session, path: string) {
  const stream = client.request({ ':path': path });
  const [headers] = (await once(stream, 'response')) as [
    http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader,
  ];
  let body = '';
  for await (const bytes of stream) body += String(bytes);
  return { status: headers[':status'], headers, body };
}

test('a pod in HTTP/1.1 and the API are served in HTTP/2', async () => {
  const client = await session('hello');
  const answers = await Promise.all(Array.from({ length: 50 }, () => get(client, '/')));
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  client.close();

  const socket = podgate.connect('localhost', ['h2']);
  await once(socket, 'secureConnect');
  const api = http2.connect('https://localhost', { createConnection: () => socket });
  expect((await get(api, '/v3/pods')).status).toBe(401);
  api.close();
});

test('a WebSocket opens over HTTP/2 as browsers open it', async () => {
  const client = await session('hello');
  await once(client, 'remoteSettings');
  expect(client.remoteSettings.enableConnectProtocol).toBe(true);
  const stream = client.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/ws',
      'sec-websocket-version': '13',
    },
    { endStream: false },
  );
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
  expect(headers[':status']).toBe(200);
  stream.write(Buffer.from('8182000000006869', 'hex')); // the masked text `hi`
  const [echo] = (await once(stream, 'data')) as [Buffer];
  expect(echo.toString('hex')).toBe('81026869');
  stream.close();
  client.close();
});

const h2cProgram = `
const server = require('node:http2').createServer();
server.on('stream', (stream, headers) => {
  stream.respond({ ':status': 200, 'content-type': headers['content-type'] || 'text/plain' },
    { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.on('error', () => undefined);
  stream.pipe(stream);
});
server.listen(Number(process.env.PORT));
`;

test('upstream_protocol h2c: both directions stream and trailers arrive', async () => {
  await podgate.pod({
    pod_id: 'grpc',
    image: 'podgate/process',
    command: [process.execPath, '-e', h2cProgram],
    networking: { default: { protocol: 'http', port: 50_051, upstream_protocol: 'h2c' } },
  });
  const client = await session('grpc');
  const stream = client.request(
    { ':method': 'POST', ':path': '/svc/Method', 'content-type': 'application/grpc' },
    { endStream: false },
  );
  const trailers = once(stream, 'trailers');
  for (const message of ['one', 'two', 'three']) {
    stream.write(message);
    const [echo] = (await once(stream, 'data')) as [Buffer];
    expect(echo.toString()).toBe(message);
  }
  stream.end();
  const [received] = (await trailers) as [http2.IncomingHttpHeaders];
  expect(received['grpc-status']).toBe('0');
  client.close();

  // Who speaks HTTP/1.1 reaches it as well.
  const { status, body } = await podgate.request('grpc.pods.localhost', '/', {
    method: 'POST',
    body: 'over http/1.1',
  });
  expect([status, body.toString()]).toEqual([200, 'over http/1.1']);
});

test('an edit of the network is seen by the next request, with no restart', async () => {
  const networking = { default: { protocol: 'http', port: 50_051, upstream_protocol: 'http1' } };
  const { status } = await podgate.call('PUT', '/v3/pods/grpc', { networking });
  expect(status).toBe(200);
  // The pod speaks HTTP/2 alone: asked in HTTP/1.1 it makes no sense.
  await expect
    .poll(async () => (await podgate.request('grpc.pods.localhost', '/')).status)
    .toBe(502);
});
