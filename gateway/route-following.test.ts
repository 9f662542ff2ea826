import { afterEach, expect, test, vi } from 'vitest';
import type { RouteBus, RouteEvent } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { exampleRoute } from '../test/gateway-examples.ts';
import type { TableChange } from './route-feed.ts';
import { followRoutes } from './route-following.ts';
import { RouteRegister } from './route-register.ts';
import { RouteTable } from './route-table.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A gateway's following of `bus`, through a network that `deliver` decides about. */
function following(bus: RouteBus, deliver: (event: RouteEvent) => boolean = () => true) {
  const clock = new ManualClock();
  const register = new RouteRegister(clock, new RouteTable('test', { host: '127.0.0.1', port: 1 }));
  const changed = vi.fn<(change: TableChange) => void>();
  const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const routes: RouteBus = {
    begin: (token, all, kept) => bus.begin(token, all, kept),
    put: (token, route) => bus.put(token, route),
    drop: (token, host) => bus.drop(token, host),
    beat: (token, digest) => bus.beat(token, digest),
    onAcks: (heard) => bus.onAcks(heard),
    acks: () => bus.acks(),
    acknowledge: (ack) => bus.acknowledge(ack),
    async *follow(gateway, signal) {
      for await (const event of bus.follow(gateway, signal)) if (deliver(event)) yield event;
    },
  };
  const abort = new AbortController();
  const random = { bytes: () => Buffer.alloc(0), fraction: () => 0.5 };
  const ports = { routes, register, clock, random, log, gateway: 'gw', changed };
  const done = followRoutes(ports, abort.signal);
  ends.push(async () => {
    abort.abort();
    await done;
  });
  const settle = (): Promise<void> => clock.advance(0);
  return { clock, register, changed, log, settle };
}

const routeOf = (host: string) => exampleRoute({ host });

test('a change that is lost is made good by following anew, after a pause', async () => {
  const bus = new MemoryRouteBus();
  await bus.begin(1, [routeOf('a.test')]);
  const { clock, register, log, settle } = following(bus, ({ kind, revision }) => {
    return kind !== 'put' || revision !== lost;
  });
  await settle();
  const lost = await bus.put(1, routeOf('b.test'));
  await bus.put(1, routeOf('c.test'));
  await settle();
  expect([...register.routes.keys()]).toEqual(['a.test']);
  expect(log.warn).toHaveBeenCalledWith({ why: 'a change was lost' }, expect.any(String));
  await clock.advance(249);
  expect(register.routes.size).toBe(1);
  await clock.advance(1);
  await vi.waitFor(() => expect(register.routes.size).toBe(3));
});

test('a gateway that follows anew is never gone from the list', async () => {
  const bus = new MemoryRouteBus();
  await bus.begin(1, []);
  let cut = false;
  const { clock, register, settle } = following(bus, ({ kind }) => kind === 'snapshot' || !cut);
  await settle();
  const epoch = register.epoch ?? '';
  bus.acknowledge({ gateway: 'gw', epoch, revision: register.revision });
  const counts = new Set<number>();
  bus.onAcks(() => counts.add(bus.acks().length));
  cut = true;
  await bus.put(1, routeOf('a.test'));
  for (let second = 0; second < 60; second += 1) await clock.advance(1_000);
  cut = false;
  await vi.waitFor(() => expect(register.routes.size).toBe(1));
  bus.acknowledge({ gateway: 'gw', epoch, revision: register.revision });
  expect(counts).toEqual(new Set([1]));
  expect(register.refollowed.get('nothing was heard')).toBeGreaterThan(0);
});

test('a bus that fails is asked again, less and less often but every few seconds', async () => {
  const tries: number[] = [];
  const next = async (): Promise<never> => {
    await Promise.resolve();
    tries.push(clock.monotonicMs());
    throw new Error('no connection');
  };
  class Broken extends MemoryRouteBus {
    override follow(): AsyncIterable<RouteEvent> {
      return { [Symbol.asyncIterator]: () => ({ next }) };
    }
  }
  const { clock, register } = following(new Broken());
  for (let step = 0; step < 400; step += 1) await clock.advance(50);
  const pauses = tries.slice(1).map((atMs, index) => atMs - (tries[index] ?? 0));
  expect(pauses.slice(0, 3)).toEqual([250, 500, 1_000]);
  expect(Math.max(...pauses)).toBe(4_000);
  expect(register.hasTables).toBe(false);
});
