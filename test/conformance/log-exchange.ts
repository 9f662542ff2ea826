import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { LogExchange, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';
import { logsOf } from '../log-examples.ts';

/** What a `LogExchange` promises; what `make` made before may be gone when it makes the next. */
export function logExchangeConforms(
  name: string,
  make: () => LogExchange | Promise<LogExchange>,
): void {
  describe(`${name} as a log exchange`, () => {
    test('asking while nobody serves throws LogsUnavailable', async () => {
      await expect((await make()).read('default/a')).rejects.toThrow(LogsUnavailable);
    });

    test('the one who serves gets the key and its answer comes back', async () => {
      const exchange = await make();
      exchange.serve(answering('log of'));
      expect(await exchange.read('default/a')).toBe('log of default/a');
    });

    test('a pod that never ran has an empty log', async () => {
      const exchange = await make();
      exchange.serve(logsOf(async () => ''));
      expect(await exchange.read('default/a')).toBe('');
    });

    test('an answer of 10 MB arrives whole', async () => {
      const exchange = await make();
      const text = 'line \u00e9\n'.repeat(1_400_000);
      exchange.serve(logsOf(async () => text));
      expect((await exchange.read('default/a')) === text).toBe(true);
    });

    test('an error of the one who serves reaches the one who asks', async () => {
      const exchange = await make();
      exchange.serve(logsOf(() => Promise.reject(new Error('disk gone'))));
      await expect(exchange.read('default/a')).rejects.toThrow('disk gone');
    });

    test('after it ended nobody serves, and ending twice is fine', async () => {
      const exchange = await make();
      const end = exchange.serve(answering('log of'));
      end();
      end();
      await expect(exchange.read('default/a')).rejects.toThrow(LogsUnavailable);
    });

    test('a window and a place to follow from reach the one who serves, and pieces come back', async () => {
      const exchange = await make();
      const asked: unknown[] = [];
      exchange.serve({
        read: async (...question) => {
          asked.push(question);
          return '';
        },
        async *follow(key, start) {
          asked.push([key, start]);
          yield { text: 'one\n', cursor: '4', gap: false };
          yield { text: 'two\n', cursor: '9', gap: true };
        },
      });
      await exchange.read('k', { tail: 3, sinceMs: 5 });
      const pieces = await Array.fromAsync(exchange.follow('k', { after: '0' }, never));
      expect(asked).toEqual([
        ['k', { tail: 3, sinceMs: 5 }],
        ['k', { after: '0' }],
      ]);
      expect(pieces).toEqual([
        { text: 'one\n', cursor: '4', gap: false },
        { text: 'two\n', cursor: '9', gap: true },
      ]);
    });

    test('following while nobody serves throws LogsUnavailable', async () => {
      await expect(Array.fromAsync((await make()).follow('k', {}, never))).rejects.toThrow(
        LogsUnavailable,
      );
    });

    test('following ends without an error when the one who asks has enough', async () => {
      const exchange = await make();
      exchange.serve(endless);
      const enough = new AbortController();
      const texts: string[] = [];
      for await (const { text } of exchange.follow('k', {}, enough.signal)) {
        texts.push(text);
        enough.abort();
      }
      expect(texts).toEqual(['more']);
    });

    test('following ends with LogsUnavailable when the one who serves ends', async () => {
      const exchange = await make();
      const end = exchange.serve(endless);
      const pieces = exchange.follow('k', {}, never)[Symbol.asyncIterator]();
      expect((await pieces.next()).value).toMatchObject({ text: 'more' });
      const next = pieces.next();
      end();
      await expect(next).rejects.toThrow(LogsUnavailable);
    });

    test('a new one answers from now on, whichever of the two ends first', async () => {
      const exchange = await make();
      const endOld = exchange.serve(answering('old'));
      const endNew = exchange.serve(answering('new'));
      expect(await exchange.read('k')).toBe('new k');
      endNew();
      expect(await exchange.read('k')).toBe('old k');
      exchange.serve(answering('newest'));
      endOld();
      expect(await exchange.read('k')).toBe('newest k');
    });
  });
}

const answering = (prefix: string): PodLogs => logsOf(async (key) => `${prefix} ${key}`);

const never = new AbortController().signal;

/** Writes once, and is followed until the signal aborts. */
const endless: PodLogs = {
  read: async () => '',
  async *follow(_key, _start, signal) {
    yield { text: 'more', cursor: '4', gap: false };
    if (!signal.aborted) await once(signal, 'abort');
  },
};
