import { describe, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import type { Route, RouteEvent } from '#contracts/route.ts';
import { Publisher } from './publish.ts';

const route = (host: string, change: Partial<Route> = {}): Route => ({
  host,
  tenant: 'default',
  pod: 'a',
  network: 'default',
  protocol: 'http',
  state: 'starting',
  message: 'wait',
  upstream: null,
  ...change,
});
const ready = { state: 'ready', upstream: { host: '127.0.0.1', port: 20_001 } } as const;

/** A publisher that has begun, and a gateway that acknowledges when told to. */
async function bench(): Promise<{
  bus: MemoryRouteBus;
  clock: ManualClock;
  publisher: Publisher;
  next(this: void): Promise<RouteEvent>;
  acknowledge(this: void, revision: number): void;
}> {
  const bus = new MemoryRouteBus();
  const clock = new ManualClock();
  const publisher = new Publisher(bus, 1, clock);
  await publisher.begin(new Map([['t/a', [route('a.pods.x'), route('a-b.pods.x')]]]));
  const events = bus.follow('gw', new AbortController().signal)[Symbol.asyncIterator]();
  const next = async (): Promise<RouteEvent> => {
    const { value, done } = await events.next();
    if (done) throw new Error('no more events');
    return value;
  };
  const acknowledge = (revision: number): void =>
    bus.acknowledge({ gateway: 'gw', epoch: 'memory', revision });
  acknowledge((await next()).revision);
  return { bus, clock, publisher, next, acknowledge };
}

describe('publishing routes', () => {
  test('sends what changed, drops what is gone, and nothing else', async () => {
    const { publisher, next } = await bench();
    await publisher.publish('t/a', [route('a.pods.x', ready)]);
    expect(await next()).toMatchObject({ kind: 'put', host: 'a.pods.x', route: ready });
    expect(await next()).toMatchObject({ kind: 'drop', host: 'a-b.pods.x' });
    await publisher.publish('t/a', [route('a.pods.x', ready)]);
    await publisher.publish('t/a', []);
    expect(await next()).toMatchObject({ kind: 'drop', host: 'a.pods.x' });
  });

  test('a route is served when all gateways have acknowledged its revision', async () => {
    const { bus, publisher, next, acknowledge } = await bench();
    expect(publisher.standing('t/a', 'a.pods.x')).toBe('served');
    await publisher.publish('t/a', [route('a.pods.x', ready), route('a-b.pods.x')]);
    expect(publisher.standing('t/a', 'a.pods.x')).toBe('unserved');
    expect(publisher.standing('t/a', 'a-b.pods.x')).toBe('served');
    const { revision } = await next();
    acknowledge(revision);
    expect(publisher.standing('t/a', 'a.pods.x')).toBe('served');
    await bus.follow('behind', new AbortController().signal)[Symbol.asyncIterator]().next();
    bus.acknowledge({ gateway: 'behind', epoch: 'memory', revision: revision - 1 });
    expect(publisher.standing('t/a', 'a.pods.x')).toBe('unserved');
    expect(publisher.standing('t/a', 'unknown.pods.x')).toBe('unserved');
  });

  test('without a gateway nothing is served', async () => {
    const publisher = new Publisher(new MemoryRouteBus(), 1, new ManualClock());
    await publisher.begin(new Map([['t/a', [route('a.pods.x')]]]));
    expect(publisher.standing('t/a', 'a.pods.x')).toBe('no gateway');
  });

  test('a change is settled when gateways have it, dropped routes included', async () => {
    const { clock, publisher, next, acknowledge } = await bench();
    await publisher.publish('t/a', []);
    let settled = false;
    const settling = publisher.settled('t/a', 1_000).then(() => (settled = true));
    acknowledge((await next()).revision);
    await clock.advance(0);
    expect(settled).toBe(false);
    acknowledge((await next()).revision);
    await settling;
    await publisher.settled('t/a', 1_000);
  });

  test('a gateway that does not answer is waited for only so long', async () => {
    const { clock, publisher } = await bench();
    await publisher.publish('t/a', []);
    let settled = false;
    const settling = publisher.settled('t/a', 1_000).then(() => (settled = true));
    await clock.advance(999);
    expect(settled).toBe(false);
    await clock.advance(1);
    await settling;
  });

  test('an earlier leader cannot publish any more', async () => {
    const { bus, publisher } = await bench();
    await new Publisher(bus, 2, new ManualClock()).begin(new Map());
    await expect(publisher.publish('t/a', [])).rejects.toMatchObject({ name: 'FencedOff' });
  });
});
