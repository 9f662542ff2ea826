import { describe, expect, test } from 'vitest';
import type { PodTraffic, TrafficExchange, TrafficReader } from '#contracts/traffic.ts';
import { TrafficUnavailable } from '#contracts/traffic.ts';
import { exampleTraffic } from '../traffic-examples.ts';

/** What a `TrafficExchange` promises; what `make` made before may be gone when it makes the next. */
export function trafficExchangeConforms(
  name: string,
  make: () => TrafficExchange | Promise<TrafficExchange>,
): void {
  describe(`${name} as a traffic exchange`, () => {
    test('asking while nobody serves throws TrafficUnavailable', async () => {
      await expect((await make()).read('default/a')).rejects.toThrow(TrafficUnavailable);
    });

    test('the one who serves gets the key, and its answer comes back as it is', async () => {
      const exchange = await make();
      const traffic: PodTraffic = {
        sinceMs: 1_700_000_000_000,
        networks: new Map([['default', exampleTraffic({ bytesOut: 2 ** 50, open: 3 })]]),
      };
      const asked: string[] = [];
      exchange.serve({
        read: async (key) => {
          asked.push(key);
          return traffic;
        },
      });
      expect(await exchange.read('default/a')).toEqual(traffic);
      expect(asked).toEqual(['default/a']);
    });

    test('an error of the one who serves reaches the one who asks', async () => {
      const exchange = await make();
      exchange.serve({ read: () => Promise.reject(new Error('a bug')) });
      await expect(exchange.read('default/a')).rejects.toThrow('a bug');
    });

    test('a new one answers from now on, whichever of the two ends first', async () => {
      const exchange = await make();
      const endOld = exchange.serve(answering(1));
      const endNew = exchange.serve(answering(2));
      expect((await exchange.read('k')).sinceMs).toBe(2);
      endNew();
      endNew();
      expect((await exchange.read('k')).sinceMs).toBe(1);
      endOld();
      await expect(exchange.read('k')).rejects.toThrow(TrafficUnavailable);
    });
  });
}

const answering = (sinceMs: number): TrafficReader => ({
  read: async () => ({ sinceMs, networks: new Map() }),
});
