import { describe, expect, test } from 'vitest';
import type { LogExchange, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';

/** What a `LogExchange` promises. */
export function logExchangeConforms(name: string, make: () => LogExchange): void {
  describe(`${name} as a log exchange`, () => {
    test('asking while nobody serves throws LogsUnavailable', async () => {
      await expect(make().read('default/a')).rejects.toThrow(LogsUnavailable);
    });

    test('the one who serves gets the key and its answer comes back', async () => {
      const exchange = make();
      exchange.serve(answering('log of'));
      expect(await exchange.read('default/a')).toBe('log of default/a');
    });

    test('a pod that never ran has an empty log', async () => {
      const exchange = make();
      exchange.serve({ read: async () => '' });
      expect(await exchange.read('default/a')).toBe('');
    });

    test('an answer of 10 MB arrives whole', async () => {
      const exchange = make();
      const text = 'line \u00e9\n'.repeat(1_400_000);
      exchange.serve({ read: async () => text });
      expect((await exchange.read('default/a')) === text).toBe(true);
    });

    test('an error of the one who serves reaches the one who asks', async () => {
      const exchange = make();
      exchange.serve({ read: () => Promise.reject(new Error('disk gone')) });
      await expect(exchange.read('default/a')).rejects.toThrow('disk gone');
    });

    test('after it ended nobody serves, and ending twice is fine', async () => {
      const exchange = make();
      const end = exchange.serve(answering('log of'));
      end();
      end();
      await expect(exchange.read('default/a')).rejects.toThrow(LogsUnavailable);
    });

    test('a new one answers from now on, whichever of the two ends first', async () => {
      const exchange = make();
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

const answering = (prefix: string): PodLogs => ({ read: async (key) => `${prefix} ${key}` });
