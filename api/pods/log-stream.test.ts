import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LogPiece, LogStart } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';
import type { Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';
import { parseEvents } from '../../test/server-sent-events.ts';

let bench: Bench;
let port: number;
let pods = 0;
let pod = '';
let source: Source;

/** Output that a test writes piece by piece, for one follower at a time. */
class Source {
  readonly asked: LogStart[] = [];
  readonly signals: AbortSignal[] = [];
  pulled = 0;
  #written = Promise.withResolvers<LogPiece | 'end'>();

  write(text: string, cursor = String(this.pulled)): void {
    this.#written.resolve({ text, cursor, gap: false });
  }

  end(): void {
    this.#written.resolve('end');
  }

  fail(error: Error): void {
    this.#written.reject(error);
  }

  async *follow(_key: string, start: LogStart, signal: AbortSignal): AsyncGenerator<LogPiece> {
    this.asked.push(start);
    this.signals.push(signal);
    const stopped = once(signal, 'abort').then(() => 'end' as const);
    for (;;) {
      const piece = await Promise.race([this.#written.promise, stopped]);
      if (piece === 'end') return;
      this.#written = Promise.withResolvers();
      this.pulled += 1;
      yield piece;
    }
  }
}

beforeAll(async () => {
  bench = await openBench();
  await Promise.all(['ada', 'eve'].map((name) => bench.addUser(name, 'pass word')));
  await bench.app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = bench.app.server.address() as AddressInfo);
}, 30_000);

afterAll(() => bench.close());

beforeEach(async () => {
  pods += 1;
  pod = `followed${pods}`;
  source = new Source();
  const end = bench.logs.serve({
    read: async () => '',
    follow: (...asked) => source.follow(...asked),
  });
  const body = { pod_id: pod, image: 'podgate/hello' };
  expect((await bench.as('ada')('POST', '/v3/pods', { body })).status).toBe(200);
  return end;
});

/** Asks to follow over a socket of its own; what came so far is there to look at. */
async function follow(query = '', headers: Record<string, string> = {}, user = 'ada') {
  const token = await bench.tokenOf(user);
  const asking = request({
    port,
    path: `/v3/pods/${pod}/logs?follow=true${query}`,
    headers: { 'x-tapis-token': token, ...headers },
    agent: false,
  });
  asking.end();
  asking.on('error', () => undefined);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  response.on('error', () => undefined);
  return {
    response,
    text: () => text,
    events: () => parseEvents(text),
    leave: () => asking.destroy(),
    closed: new Promise<void>((resolve) => void response.once('close', resolve)),
  };
}

type Follower = Awaited<ReturnType<typeof follow>>;
const data = (follower: Follower): string[] => follower.events().map((event) => event.data);
const lets = (pass: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(pass, { timeout: 10_000 });
const passTime = (until: () => void): Promise<void> =>
  lets(async () => {
    await bench.clock.advance(15_000);
    until();
  });

describe('who follows logs', () => {
  test('is answered at once, and each piece comes as it is written', async () => {
    const follower = await follow('&tail=5');
    expect(follower.response.statusCode).toBe(200);
    expect(follower.response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
    });
    await lets(() => expect(follower.text()).toBe('retry: 1000\n\n'));
    source.write('one\n');
    await lets(() => expect(data(follower)).toEqual(['one\n']));
    source.write('two\n');
    await lets(() => expect(data(follower)).toEqual(['one\n', 'two\n']));
    expect(source.asked).toEqual([{ tail: 5, sinceMs: undefined }]);
    follower.leave();
  });

  test('goes on after the event they had last', async () => {
    const first = await follow();
    source.write('one\n', 'place-1');
    await lets(() => expect(first.events()).toHaveLength(1));
    first.leave();
    const id = first.events()[0]?.id ?? '';
    const second = await follow('&tail=5', { 'last-event-id': id });
    await lets(() => expect(source.asked).toEqual([expect.anything(), { after: 'place-1' }]));
    second.leave();
  });

  test('is refused an id that is none of ours, and what others may not read', async () => {
    const broken = await follow('', { 'last-event-id': 'nonsense' });
    expect(broken.response.statusCode).toBe(400);
    await broken.closed;
    expect(broken.text()).toContain('header, last-event-id: ');
    expect((await follow('', {}, 'eve')).response.statusCode).toBe(403);
    expect((await follow('&tail=x')).response.statusCode).toBe(400);
    expect(source.asked).toEqual([]);
  });

  test('is told when the pod is deleted, and the answer is whole', async () => {
    const follower = await follow();
    source.write('bye');
    await lets(() => expect(data(follower)).toEqual(['bye']));
    source.end();
    await follower.closed;
    expect(follower.events().at(-1)).toMatchObject({ event: 'end', data: 'deleted' });
    expect(follower.response.complete).toBe(true);
  });

  test('may come back, without an `end`, when nobody can say how it goes on', async () => {
    for (const [error, logged] of [
      [new LogsUnavailable('gone'), 0],
      [new Error('disk'), 1],
    ] as const) {
      const before = bench.logged.length;
      const follower = await follow();
      source.fail(error);
      await follower.closed;
      expect([follower.text(), follower.response.complete]).toEqual(['retry: 1000\n\n', true]);
      expect(bench.logged.length - before).toBe(logged);
      source = new Source();
    }
  });

  test('sends a HEAD and is told what a GET is answered with', async () => {
    const head = await bench.app.inject({
      method: 'HEAD',
      url: `/v3/pods/${pod}/logs?follow=true`,
      headers: { 'x-tapis-token': await bench.tokenOf('ada') },
    });
    expect([head.statusCode, head.headers['content-type']]).toEqual([200, 'text/event-stream']);
    expect(source.asked).toEqual([]);
  });
});

describe('a stream ends', () => {
  test('at its source when the client goes, and makes room', async () => {
    for (let round = 0; round < 20; round += 1) {
      const follower = await follow();
      expect(follower.response.statusCode).toBe(200);
      await lets(() => expect(source.signals).toHaveLength(round + 1));
      follower.leave();
      await lets(() => expect(source.signals.at(-1)?.aborted).toBe(true));
    }
  });

  test('with the right to read, which is looked at with every keep-alive', async () => {
    const eve = `/v3/pods/${pod}/permissions`;
    const ada = bench.as('ada');
    await ada('POST', eve, { body: { user: 'eve', level: 'READ' } });
    const follower = await follow('', {}, 'eve');
    await passTime(() => expect(follower.text()).toContain('\n\n:\n\n'));
    await ada('DELETE', `${eve}/eve`);
    await passTime(() => expect(follower.text()).toContain('event: end\ndata: refused\n\n'));
    await follower.closed;
    expect(source.signals[0]?.aborted).toBe(true);
  });

  test('with the pod, also when nobody else says so', async () => {
    const follower = await follow();
    await bench.as('ada')('DELETE', `/v3/pods/${pod}`);
    await passTime(() => expect(follower.text()).toContain('event: end\ndata: deleted\n\n'));
    await follower.closed;
  });

  test('with the token', async () => {
    const follower = await follow();
    await bench.clock.advance(4 * 3_600_000);
    await passTime(() => expect(follower.text()).toContain('event: end\ndata: refused\n\n'));
    await follower.closed;
  });
});

describe('followers are bounded', () => {
  test('in number for each user', async () => {
    const all = await Promise.all(Array.from({ length: 16 }, () => follow()));
    expect(all.map(({ response }) => response.statusCode)).toEqual(Array(16).fill(200));
    const more = await follow();
    expect(more.response.statusCode).toBe(429);
    await bench.as('ada')('POST', `/v3/pods/${pod}/permissions`, {
      body: { user: 'eve', level: 'READ' },
    });
    const other = await follow('', {}, 'eve');
    expect(other.response.statusCode).toBe(200);
    for (const follower of [...all, other]) follower.leave();
    await lets(() => expect(source.signals.every(({ aborted }) => aborted)).toBe(true));
    const again = await follow();
    expect(again.response.statusCode).toBe(200);
    again.leave();
  });

  test('in what is read for one that does not read, which is cut after a minute', async () => {
    const piece = 'x'.repeat(64 * 1024);
    const endless = bench.logs.serve({
      read: async () => '',
      async *follow(_key, _start, signal) {
        while (!signal.aborted) {
          source.pulled += 1;
          yield { text: piece, cursor: '1', gap: false };
        }
      },
    });
    const socket = connect({ port, host: '127.0.0.1' });
    const head = [
      `GET /v3/pods/${pod}/logs?follow=true HTTP/1.1`,
      'Host: api.test',
      `X-Tapis-Token: ${await bench.tokenOf('ada')}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    await once(socket, 'readable');
    let before = -1;
    // Until the buffers of both sockets are full.
    await vi.waitUntil(() => before === (before = source.pulled), {
      interval: 300,
      timeout: 20_000,
    });
    expect(source.pulled).toBeLessThan(500);
    await bench.clock.advance(60_000);
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
    expect(source.pulled - before).toBeLessThan(5);
    endless();
  }, 40_000);
});

test('when the API closes, streams end whole and may be resumed', async () => {
  const follower = await follow();
  source.write('last\n');
  await lets(() => expect(data(follower)).toEqual(['last\n']));
  await bench.app.close();
  await follower.closed;
  expect(follower.response.complete).toBe(true);
  expect(follower.events().map(({ event }) => event)).toEqual(['message']);
  expect(source.signals[0]?.aborted).toBe(true);
});
