import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemRandom } from '#adapters/system/random.ts';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { requestIds } from './request-id.ts';

let bench: Bench;
let port: number;

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word');
  await bench.app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = bench.app.server.address() as AddressInfo);
}, 30_000);

afterAll(() => bench.close());

/** The id that the answer to these bytes says. */
async function idOf(request: string): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(request);
  return /^x-request-id: ([\w.-]+)\r$/im.exec(await text(socket))?.[1];
}

const made = /^[\w-]{16}$/;
const ask = (line: string, ...fields: string[]): string =>
  [`${line} HTTP/1.1`, 'Host: api.test', 'Connection: close', ...fields, '', ''].join('\r\n');

describe('every answer says the id of its request', () => {
  test.each([
    ['a result', 'GET /v3/healthcheck'],
    ['a refusal', 'GET /v3/pods'],
    ['no such route', 'GET /v3/nothing'],
    ['no such method', 'DELETE /v3/pods'],
    ['a path that does not decode', 'GET /v3/pods/%zz'],
    ['a preflight', 'OPTIONS /v3/pods'],
    ['a page of the documentation', 'GET /v3/docs/'],
  ])('%s', async (_name, line) => {
    expect(await idOf(ask(line))).toMatch(made);
    expect(await idOf(ask(line, 'X-Request-Id: from.gateway-1'))).toBe('from.gateway-1');
  });

  test('what is no HTTP', async () => {
    expect(await idOf('GET\r\n\r\n')).toMatch(made);
  });
});

test.each([
  ['', 'nothing'],
  ['a b', 'a space'],
  ['a"b', 'a quote'],
  ['a'.repeat(65), '65 characters'],
  ['caf\u00e9', 'a letter beyond ASCII'],
])('an id of %j is not taken over, it has %s', (given) => {
  const id = requestIds(systemRandom)({ 'x-request-id': given });
  expect(id).toMatch(made);
  expect(requestIds(systemRandom)()).not.toBe(id);
});

async function traceOf(tracking: string) {
  const headers = { 'x-request-id': 'r-1', 'x-tapis-tracking-id': tracking };
  await bench.call('GET', '/v3/pods/secretpod?token=x', { headers });
  return bench.traced.at(-1);
}

test('the line of a request in the log has its id, and that of the client when it is safe', async () => {
  expect(await traceOf('portal.1')).toEqual({
    message: 'answered',
    fields: {
      requestId: 'r-1',
      trackingId: 'portal.1',
      method: 'GET',
      route: '/v3/pods/:pod_id',
      status: 401,
      ms: expect.any(Number),
    },
  });
  expect((await traceOf('a b'))?.fields).toMatchObject({ trackingId: undefined });
});
