import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { LogPiece, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';
import { ManualClock } from '../memory/clock.ts';
import { systemClock } from '../system/clock.ts';
import { logExchangeConforms } from '../../test/conformance/log-exchange.ts';
import { logsOf } from '../../test/log-examples.ts';
import { lineOf, Lines, natsProgram, NatsServer } from '../../test/programs/nats.ts';
import { NatsLogExchange } from './log-exchange.ts';

const never = new AbortController().signal;
let server: NatsServer;
let lines: Lines;

beforeAll(async () => {
  server = await NatsServer.start(await natsProgram());
  lines = new Lines(server);
});
afterEach(() => lines.hangUp());
afterAll(() => server.stop());

/** A controller that serves and an api that asks, each with its own connection. */
async function pair(logs: PodLogs, clock = systemClock) {
  const controller = await lines.dial();
  const end = new NatsLogExchange(lineOf(controller), clock).serve(logs);
  await controller.flush();
  const api = await lines.dial();
  return { controller, end, api, asking: new NatsLogExchange(lineOf(api), clock) };
}

/** Pieces that are numbered, as fast as they are wanted; counts those it was asked for. */
function numbered() {
  const made = { count: 0, ended: 0 };
  const logs: PodLogs = {
    read: async () => '',
    async *follow(_key, _start, signal): AsyncGenerator<LogPiece> {
      try {
        for (let n = 0; !signal.aborted; n += 1) {
          made.count = n + 1;
          yield { text: `${n}\n`, cursor: String(n), gap: false };
          // Not faster than a disk.
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      } finally {
        made.ended += 1;
      }
    },
  };
  return { made, logs };
}

logExchangeConforms('NatsLogExchange', async () => {
  await lines.hangUp();
  return new NatsLogExchange(lineOf(await lines.dial()), systemClock);
});

test('any of several controllers answers, and one that hangs is not waited for', async () => {
  const { asking, controller } = await pair(logsOf(async () => 'first'));
  const second = await pair(logsOf(async () => 'second'));
  expect(['first', 'second']).toContain(await asking.read('k'));
  // Its connection stays and nothing comes of it, as with a process that is stopped.
  controller.publish = () => undefined;
  expect(await asking.read('k')).toBe('second');
  second.end();
  await second.controller.flush();
  await expect(asking.read('k')).rejects.toThrow('nobody answers');
});

test('whoever wants the answer where none belongs gets none', async () => {
  const { api, asking } = await pair(logsOf(async () => 'text'));
  const elsewhere = api.subscribe('$KV.podgate_routes.a');
  api.publish('podgate.logs', JSON.stringify({ kind: 'read', key: 'k' }), {
    reply: '$KV.podgate_routes.a',
  });
  // Asked and offered after it.
  expect(await asking.read('k')).toBe('text');
  expect(elsewhere.getReceived()).toBe(0);
});

test('nothing is read before it is wanted, and whoever has enough ends the reading', async () => {
  const { made, logs } = numbered();
  const { asking, api } = await pair(logs);
  const enough = new AbortController();
  for await (const { text } of asking.follow('k', {}, enough.signal)) {
    if (text !== '9\n') continue;
    await api.flush();
    expect(made.count).toBe(10);
    enough.abort();
  }
  await expect.poll(() => made.ended).toBe(1);
});

test('a reader that breaks off ends the reading', async () => {
  const { made, logs } = numbered();
  const { asking } = await pair(logs);
  for await (const { text } of asking.follow('k', {}, never)) if (text === '3\n') break;
  await expect.poll(() => made.ended).toBe(1);
});

test('a server that is killed and comes back costs no piece and repeats none', async () => {
  const { asking } = await pair(numbered().logs);
  const texts: string[] = [];
  for await (const { text } of asking.follow('k', {}, never)) {
    texts.push(text);
    if (texts.length === 50) {
      await server.kill();
      await server.start();
    }
    if (texts.length === 100) break;
  }
  expect(texts).toEqual(Array.from({ length: 100 }, (_, n) => `${n}\n`));
});

test('messages that get lost are asked for again', async () => {
  const { asking, controller } = await pair(numbered().logs);
  const publish = controller.publish.bind(controller);
  let sent = 0;
  controller.publish = (...message) => {
    sent += 1;
    if (sent % 4 !== 3) publish(...message);
  };
  const texts: string[] = [];
  for await (const { text } of asking.follow('k', {}, never)) {
    texts.push(text);
    if (texts.length === 4) break;
  }
  expect(texts).toEqual(['0\n', '1\n', '2\n', '3\n']);
});

test('a controller that is gone without a word ends the following within seconds', async () => {
  const clock = new ManualClock();
  const { asking, controller } = await pair(quiet, clock);
  const pieces = asking.follow('k', {}, never);
  expect((await pieces.next()).value).toMatchObject({ text: 'more' });
  const next = expect(pieces.next()).rejects.toThrow('gone silent');
  controller.publish = () => undefined;
  await clock.advance(6_000);
  await next;
});

test('one that asked and is gone without a word is forgotten', async () => {
  const clock = new ManualClock();
  const ended: boolean[] = [];
  const logs: PodLogs = {
    read: async () => '',
    async *follow(key, start, signal) {
      try {
        yield* quiet.follow(key, start, signal);
      } finally {
        ended.push(signal.aborted);
      }
    },
  };
  const { asking, api } = await pair(logs, clock);
  const pieces = asking.follow('k', {}, never);
  await pieces.next();
  const next = pieces.next().catch(() => undefined);
  await api.close();
  await clock.advance(11_000);
  await next;
  await expect.poll(() => ended).toEqual([true]);
});

test('with the connection closed nobody can be asked', async () => {
  const { asking, api } = await pair(logsOf(async () => 'log'));
  await api.close();
  await expect(asking.read('k')).rejects.toThrow(LogsUnavailable);
});

test('while NATS is away asking fails in seconds, with the reason', async () => {
  const { asking } = await pair(logsOf(async () => 'log'));
  await server.kill();
  try {
    await expect(asking.read('k')).rejects.toThrow(LogsUnavailable);
  } finally {
    await server.start();
  }
});

/** Writes once and then nothing. */
const quiet: PodLogs = {
  read: async () => '',
  async *follow(_key, _start, signal) {
    yield { text: 'more', cursor: '4', gap: false };
    if (!signal.aborted) await once(signal, 'abort');
  },
};
