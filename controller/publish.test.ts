import { describe, expect, test, vi } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import type { Route, RouteEvent } from '#contracts/route.ts';
import { BusUnavailable, zRoute } from '#contracts/route.ts';
import { Publisher } from './publish.ts';

const route = (host: string, change: Partial<Route> = {}): Route => ({
  host,
  tenant: 't',
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

  test.each(['put', 'drop'] as const)(
    'a %s that failed and yet happened is made good, also when what was before is wanted again',
    async (kind) => {
      const { bus, publisher } = await bench();
      const before = [route('a.pods.x'), route('a-b.pods.x')];
      vi.spyOn(bus, kind).mockImplementationOnce(async () => {
        if (kind === 'put') await bus.put(1, route('a.pods.x', ready));
        else await bus.drop(1, 'a.pods.x');
        throw new BusUnavailable('the answer was lost');
      });
      const changed = kind === 'put' ? [route('a.pods.x', ready)] : [];
      const others = before.slice(1);
      await expect(publisher.publish('t/a', [...changed, ...others])).rejects.toThrow('answer');
      await publisher.publish('t/a', before);
      expect(await tableOf(bus)).toEqual(before);
    },
  );

  test('a route that failed to come and yet is there goes with its pod', async () => {
    const { bus, publisher } = await bench();
    vi.spyOn(bus, 'put').mockImplementationOnce(async (token, late) => {
      await bus.put(token, late);
      throw new BusUnavailable('the answer was lost');
    });
    await expect(publisher.publish('t/b', [route('b.pods.x')])).rejects.toThrow('answer');
    await publisher.publish('t/b', []);
    expect((await tableOf(bus)).map(({ host }) => host)).not.toContain('b.pods.x');
  });

  test('what nobody could look at when the reign began keeps its routes, and beats count them', async () => {
    const { bus, next } = await bench();
    const later = new Publisher(bus, 2, new ManualClock());
    await later.begin(new Map(), new Set(['t/a']));
    expect((await tableOf(bus)).map(({ host }) => host)).toEqual(['a.pods.x', 'a-b.pods.x']);
    await later.beat();
    const { revision } = await next();
    expect(await next()).toMatchObject({ kind: 'beat', revision, count: 2 });
    await later.publish('t/a', [route('a.pods.x')]);
    expect(await next()).toMatchObject({ kind: 'drop', host: 'a-b.pods.x' });
  });
});

async function tableOf(bus: MemoryRouteBus): Promise<Route[]> {
  const [first] = [
    await bus.follow('reader', new AbortController().signal)[Symbol.asyncIterator]().next(),
  ];
  if (first.done || first.value.kind !== 'snapshot') throw new Error('no snapshot came');
  const routes = Array.from(first.value.routes.values(), (told) => zRoute.parse(told.route));
  return routes.toSorted((a, b) => (a.host < b.host ? 1 : -1));
}
