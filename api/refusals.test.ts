import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreUnavailable, WriteOutcomeUnknown } from '#contracts/store.ts';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';

let bench: Bench;
let port: number;

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word');
  await bench.as('ada')('POST', '/v3/pods', { body: { pod_id: 'first', image: 'podgate/hello' } });
  await bench.app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = bench.app.server.address() as AddressInfo);
}, 30_000);

afterAll(() => bench.close());

type InjectedMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
const asAda = async (method: InjectedMethod, url: string) => {
  const token = await bench.tokenOf('ada');
  return bench.app.inject({ method, url, headers: { 'x-tapis-token': token } });
};

describe('a store that is away', () => {
  test.each([
    [new StoreUnavailable('ECONNREFUSED 10.0.0.1'), 'cannot be reached at the moment, try again'],
    [new WriteOutcomeUnknown('10.0.0.1 did not answer'), 'is not known, look before'],
  ])('is a 503 that says when to come again and what is known: %s', async (failure, words) => {
    bench.store.beforeNextPut = () => Promise.reject(failure);
    const body = { pod_id: 'second', image: 'podgate/hello' };
    const answer = await bench.as('ada')('POST', '/v3/pods', { body });
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('5');
    expect(answer.body.message).toContain(words);
    expect(answer.text).not.toContain('10.0.0.1');
  });
});

describe('a method that a path does not have', () => {
  test.each([
    ['PUT', '/v3/pods', 'GET, HEAD, POST'],
    ['PATCH', '/v3/pods/first', 'DELETE, GET, HEAD, PUT'],
    ['PATCH', '/v3/pods/first/', 'DELETE, GET, HEAD, PUT'],
    ['GET', '/v3/oauth2/tokens', 'POST'],
    ['POST', '/v3/pods/first/start', 'GET'],
    ['GET', '/v3/pods/first/permissions/ada', 'DELETE'],
  ] as const)('%s %s is 405 and Allow says %s', async (method, url, allowed) => {
    const answer = await asAda(method, url);
    expect(answer.statusCode).toBe(405);
    expect(answer.headers).toMatchObject({ allow: allowed, 'content-type': 'application/json' });
    expect(answer.json()).toMatchObject({
      status: 'error',
      result: null,
      message: `${method} is not possible here, only ${allowed}.`,
    });
  });

  test('is refused before a body is read', async () => {
    const answer = await bench.call('PUT', '/v3/pods', {
      body: '{',
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(405);
  });

  test('is in no description', async () => {
    const { paths } = JSON.parse((await bench.call('GET', '/v3/openapi.json')).text);
    expect(Object.keys(paths['/v3/pods']).toSorted()).toEqual(['get', 'post']);
  });
});

test('HEAD reads as GET does, and stops no pod', async () => {
  expect((await asAda('HEAD', '/v3/pods/first')).statusCode).toBe(200);
  for (const verb of ['stop', 'start', 'restart']) {
    expect((await asAda('HEAD', `/v3/pods/first/${verb}`)).statusCode).toBe(405);
  }
  expect((await asAda('GET', '/v3/pods/first')).json().result.status_requested).toBe('ON');
});

test('a 401 says how to authenticate', async () => {
  const answer = await bench.call('GET', '/v3/pods');
  expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer']);
});

describe('a body that is not announced as JSON', () => {
  const body = 'pod_id=formpod&image=podgate%2Fhello';
  test.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data'])(
    'is refused as %s',
    async (type) => {
      const call = { body, headers: { 'content-type': type } };
      const answer = await bench.as('ada')('POST', '/v3/pods', call);
      expect(answer.status).toBe(400);
      expect(answer.body.message).toEqual(['body: send it with Content-Type: application/json']);
    },
  );
});

test('a DELETE may announce JSON and send none', async () => {
  const ada = bench.as('ada');
  await ada('POST', '/v3/pods', { body: { pod_id: 'doomed', image: 'podgate/hello' } });
  const headers = { 'content-type': 'application/json' };
  expect((await ada('DELETE', '/v3/pods/doomed', { headers })).status).toBe(200);
});

test('a damaged record is a 500 that the operator hears of', async () => {
  await bench.store.put('pods', { id: 'default/broken', value: { tenant: 1 } }, 'anything');
  const answer = await bench.as('ada')('GET', '/v3/pods/broken');
  await bench.store.remove('pods', 'default/broken', 'anything');
  expect(answer.status).toBe(500);
  expect(JSON.stringify(bench.logged.at(-1))).toContain('pods/default/broken');
});

const send = async (bytes: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(bytes);
  return text(socket);
};

describe('what is no request', () => {
  test.each([
    ['no HTTP', 'hello\r\n\r\n', '400 Bad Request'],
    [
      'two ways to say how long the body is',
      'POST /v3/pods HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400 Bad Request',
    ],
    [
      'header fields without end',
      `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(70_000)}\r\n\r\n`,
      '431 Request Header Fields Too Large',
    ],
  ])('%s is answered in the envelope', async (_name, bytes, status) => {
    const answer = await send(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status}\r\n`));
    expect(answer).toContain('\r\nContent-Type: application/json\r\n');
    const body: unknown = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
    expect(body).toMatchObject({ status: 'error', result: null, metadata: {} });
  });
});
