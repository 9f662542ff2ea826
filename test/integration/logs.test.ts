import { once } from 'node:events';
import { connect } from 'node:http2';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseEvents } from '../server-sent-events.ts';
import { Standalone, until } from './standalone.ts';

let podgate: Standalone;
beforeAll(async () => {
  podgate = await Standalone.start();
});
afterAll(() => podgate.stopAndForget());

/** Writes a line with the time every tenth of a second, counted on over restarts. */
const counting = {
  image: 'podgate/process',
  command: ['/bin/sh', '-c'],
  arguments: [
    [
      'i=$(cat count 2>/dev/null || echo 0)',
      'trap "echo bye; exit 0" TERM',
      'while :; do i=$((i+1)); echo $i > count; echo "line $i $(date +%s%3N)"; sleep 0.1; done',
    ].join('; '),
  ],
  networking: { default: { protocol: 'local_only', port: 5000 } },
};

interface Followed {
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Readable;
  readonly leave: () => void;
}

const followers = {
  async 'HTTP/1.1'(path: string, headers: Record<string, string>): Promise<Followed> {
    const asking = https.request({
      host: '127.0.0.1',
      port: podgate.ports.https,
      servername: 'localhost',
      ca: podgate.ca,
      path,
      headers: { host: 'localhost', ...headers },
      agent: false,
    });
    asking.on('error', () => undefined).end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    return { headers: response.headers, body: response, leave: () => asking.destroy() };
  },
  async 'HTTP/2'(path: string, headers: Record<string, string>): Promise<Followed> {
    const session = connect(`https://localhost:${podgate.ports.https}`, {
      host: '127.0.0.1',
      servername: 'localhost',
      ca: podgate.ca,
    } as Parameters<typeof connect>[1]);
    session.on('error', () => undefined);
    const stream = session.request({ ':path': path, ...headers });
    stream.on('close', () => session.close());
    const [head] = (await once(stream, 'response')) as [NodeJS.Dict<string>];
    return { headers: head, body: stream, leave: () => session.destroy() };
  },
};

/** Follows through the gateway; notes when each piece arrived. */
async function follow(
  pod: string,
  {
    over = 'HTTP/1.1',
    query = '',
    id = '',
  }: { over?: keyof typeof followers; query?: string; id?: string } = {},
) {
  const { headers, body, leave } = await followers[over](
    `/v3/pods/${pod}/logs?follow=true${query}`,
    {
      'x-tapis-token': await podgate.token(),
      'accept-encoding': 'gzip, br, zstd',
      ...(id ? { 'last-event-id': id } : {}),
    },
  );
  let text = '';
  const arrived: { readonly atMs: number; readonly chunk: string }[] = [];
  body.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    arrived.push({ atMs: Date.now(), chunk });
  });
  let whole = false;
  body.on('end', () => (whole = true));
  body.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => void body.once('close', resolve));
  const events = () => parseEvents(text);
  return {
    headers,
    arrived,
    events,
    output: () =>
      events()
        .filter(({ event }) => event === 'message')
        .map(({ data }) => data)
        .join(''),
    leave,
    closed,
    whole: () => whole,
  };
}

const numbers = (output: string): number[] =>
  [...output.matchAll(/^line (\d+) /gm)].map(([, number]) => Number(number));

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

test.each(['HTTP/1.1', 'HTTP/2'] as const)(
  'over %s each line arrives as it is written',
  async (over) => {
    const pod = over === 'HTTP/2' ? 'counting2' : 'counting1';
    await podgate.pod({ pod_id: pod, ...counting });
    const follower = await follow(pod, { over, query: '&tail=0' });
    expect(follower.headers['content-type']).toBe('text/event-stream');
    expect(follower.headers).not.toHaveProperty('content-encoding');
    await until(() => numbers(follower.output()).length >= 20);
    follower.leave();
    const delays = follower.arrived.flatMap(({ atMs, chunk }) =>
      [...chunk.matchAll(/line \d+ (\d+)/g)].map(([, written]) => atMs - Number(written)),
    );
    // Held back for the sake of something, the first of twenty would be two seconds late.
    expect(delays.toSorted((a, b) => a - b)[Math.floor(delays.length / 2)]).toBeLessThan(500);
  },
);

test('who comes back with the last id misses nothing and gets nothing twice', async () => {
  let output = '';
  let id = '';
  for (let round = 1; round <= 4; round += 1) {
    const follower = await follow('counting1', { id, query: '&since=1d' });
    await until(() => follower.events().length >= 3);
    follower.leave();
    await follower.closed;
    output += follower.output();
    id = follower.events().at(-1)?.id ?? '';
    if (round === 2) {
      await podgate.call('GET', '/v3/pods/counting1/restart');
      await until(async () => {
        const { envelope } = await podgate.call('GET', '/v3/pods/counting1/logs');
        return /bye\n--- run 2 ---\nline/.test(String(envelope.result['logs']));
      });
    }
  }
  expect(output).toContain('bye\n');
  const seen = numbers(output);
  expect(seen).toEqual(upTo(seen.length));
});

test('a part of the logs is what it says', async () => {
  const logs = async (query: string): Promise<string> => {
    const { envelope } = await podgate.call('GET', `/v3/pods/counting2/logs?${query}`);
    return String(envelope.result['logs']);
  };
  expect((await logs('tail=3')).match(/\n/g)).toHaveLength(3);
  const sinceMs = Date.now() - 2_000;
  const recent = await logs(`since=${new Date(sinceMs).toISOString()}`);
  const times = [...recent.matchAll(/^line \d+ (\d+)$/gm)].map(([, written]) => Number(written));
  expect(times.length).toBeGreaterThan(5);
  expect(times[0]).toBeGreaterThan(sinceMs - 1_500);
  expect(times[0]).toBeLessThan(sinceMs + 500);
  const refused = await podgate.call('GET', '/v3/pods/counting2/logs?since=soon');
  expect([refused.status, refused.envelope.message]).toEqual([
    400,
    [expect.stringContaining('querystring, since: ')],
  ]);
});

test('a deleted pod ends its followers, whole and after its last words', async () => {
  const follower = await follow('counting2', { query: '&tail=1' });
  await until(() => follower.output() !== '');
  const deleting = await fetch(`http://127.0.0.1:${podgate.ports.api}/v3/pods/counting2`, {
    method: 'DELETE',
    headers: { 'x-tapis-token': await podgate.token(), 'x-request-id': 'my-deletion' },
  });
  expect(deleting.headers.get('x-request-id')).toBe('my-deletion');
  await follower.closed;
  expect(follower.whole()).toBe(true);
  expect(follower.output()).toContain('bye\n');
  expect(follower.events().at(-1)).toMatchObject({ event: 'end', data: 'deleted' });
});

test('an action names the request that the gateway passed on', async () => {
  const reply = await podgate.request('localhost', '/v3/pods/counting1/stop', {
    headers: { 'x-tapis-token': await podgate.token() },
  });
  const { envelope } = await podgate.call('GET', '/v3/pods/counting1/actions');
  expect(envelope.result).toContainEqual(
    expect.objectContaining({
      kind: 'stop',
      actor: { type: 'user', name: 'admin' },
      request_id: reply.headers['x-request-id'],
    }),
  );
  expect(reply.headers['x-request-id']).toMatch(/./);
});

test('when Podgate ends, who follows has a whole answer that can be resumed', async () => {
  const follower = await follow('counting1', { query: '&tail=1' });
  await until(() => follower.events().length > 0);
  expect(await podgate.end()).toBe(0);
  await follower.closed;
  expect(follower.whole()).toBe(true);
  expect(follower.events().map(({ event }) => event)).not.toContain('end');
});
