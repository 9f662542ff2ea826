import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Route, RouteBus, RouteEvent } from '#contracts/route.ts';
import { FencedOff } from '#contracts/store.ts';

type Make = () => Promise<RouteBus>;
type Follow = (bus: RouteBus, gateway?: string) => Following;

interface Following {
  next(): Promise<RouteEvent>;
  /** Resolves when the iteration has ended. */
  leave(): Promise<void>;
  readonly events: AsyncIterator<RouteEvent>;
}

/** What a `RouteBus` promises. */
export function routeBusConforms(name: string, make: Make): void {
  const leaves: (() => void)[] = [];
  afterEach(() => {
    for (const leave of leaves.splice(0)) leave();
  });
  const follow: Follow = (bus, gateway = 'gateway-1') => {
    const abort = new AbortController();
    leaves.push(() => abort.abort());
    const events = bus.follow(gateway, abort.signal)[Symbol.asyncIterator]();
    return {
      events,
      next: async () => {
        const { value, done } = await events.next();
        if (done) throw new Error('the iteration has ended');
        return value;
      },
      leave: async () => {
        abort.abort();
        while (!(await events.next()).done);
      },
    };
  };

  describe(`${name} as a route bus`, () => {
    reigns(make, follow);
    feeds(make, follow);
    acknowledgements(make, follow);
  });
}

const route = (host: string, port = 80): Route => ({
  host,
  tenant: 'default',
  pod: 'shop',
  network: 'default',
  protocol: 'http',
  state: 'ready',
  message: '',
  upstream: { host: '127.0.0.1', port },
});

const hostsIn = (event: RouteEvent): string[] =>
  event.kind === 'snapshot' ? [...event.routes.keys()].toSorted() : [event.host];

/** Whether `promise` settles while everything that is ready to run has run. */
async function settlesSoon(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => (settled = true)).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 30));
  return settled;
}

function reigns(make: Make, follow: Follow): void {
  test('begin replaces everything, and followers hear that a smaller table is meant', async () => {
    const bus = await make();
    await bus.begin(1, [route('a.example'), route('b.example')]);
    const gateway = follow(bus);
    expect(hostsIn(await gateway.next())).toEqual(['a.example', 'b.example']);
    const revision = await bus.begin(2, [route('b.example')]);
    expect(await gateway.next()).toEqual({
      kind: 'snapshot',
      revision,
      routes: new Map([['b.example', route('b.example')]]),
      shrinkIntended: true,
    });
  });

  test('a leader with an older token is refused and changes nothing', async () => {
    const bus = await make();
    await bus.begin(5, [route('a.example')]);
    await expect(bus.begin(4, [])).rejects.toThrow(FencedOff);
    await expect(bus.put(4, route('b.example'))).rejects.toThrow(FencedOff);
    await expect(bus.drop(4, 'a.example')).rejects.toThrow(FencedOff);
    expect(hostsIn(await follow(bus).next())).toEqual(['a.example']);
  });

  test('a write before any begin, or with a token that has not begun, is refused', async () => {
    const bus = await make();
    await expect(bus.put(1, route('a.example'))).rejects.toThrow();
    await expect(bus.drop(1, 'a.example')).rejects.toThrow();
    await bus.begin(1, [route('a.example')]);
    await expect(bus.put(2, route('b.example'))).rejects.toThrow();
    await expect(bus.drop(2, 'a.example')).rejects.toThrow();
    expect(hostsIn(await follow(bus).next())).toEqual(['a.example']);
  });

  test('revisions grow with every change, also over reigns', async () => {
    const bus = await make();
    const revisions = [
      await bus.begin(1, []),
      await bus.put(1, route('a.example')),
      await bus.put(1, route('a.example', 81)),
      await bus.drop(1, 'a.example'),
      await bus.begin(2, []),
    ];
    expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b));
  });
}

function feeds(make: Make, follow: Follow): void {
  test('nothing comes before the first begin: an empty bus is not an empty table', async () => {
    const bus = await make();
    const gateway = follow(bus);
    const first = gateway.next();
    expect(await settlesSoon(first)).toBe(false);
    await bus.begin(1, []);
    expect(await first).toMatchObject({ kind: 'snapshot', routes: new Map() });
  });

  test('the first event is a snapshot of everything, whenever one starts to follow', async () => {
    const bus = await make();
    await bus.begin(1, [route('a.example')]);
    const revision = await bus.put(1, route('b.example'));
    const first = await follow(bus).next();
    expect(first).toMatchObject({ kind: 'snapshot', revision });
    expect(hostsIn(first)).toEqual(['a.example', 'b.example']);
  });

  test('puts and drops follow with their revisions', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = follow(bus);
    await gateway.next();
    const put = await bus.put(1, route('a.example'));
    expect(await gateway.next()).toEqual({
      kind: 'put',
      revision: put,
      host: 'a.example',
      route: route('a.example'),
    });
    const drop = await bus.drop(1, 'a.example');
    expect(await gateway.next()).toEqual({ kind: 'drop', revision: drop, host: 'a.example' });
  });

  test('an unchanged route keeps its revision and is no event; so does an unknown drop', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = follow(bus);
    await gateway.next();
    const revision = await bus.put(1, route('a.example'));
    await gateway.next();
    expect(await bus.put(1, route('a.example'))).toBe(revision);
    await bus.drop(1, 'unknown.example');
    await bus.put(1, route('b.example'));
    expect(hostsIn(await gateway.next())).toEqual(['b.example']);
  });

  test('a route that its maker changes later is not changed on the bus', async () => {
    const bus = await make();
    const made = { ...route('a.example') };
    await bus.begin(1, [made]);
    made.message = 'changed';
    const first = await follow(bus).next();
    expect(first.kind === 'snapshot' && first.routes.get('a.example')).toEqual(route('a.example'));
  });

  test('a slow follower ends with the newest state of every host, in order', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = follow(bus);
    await gateway.next();
    for (let port = 1; port <= 500; port += 1) {
      await bus.put(1, route('a.example', port));
      await bus.put(1, route('b.example', port));
    }
    const last = await bus.drop(1, 'a.example');
    const table = new Map<string, unknown>();
    let revision = 0;
    while (revision < last) {
      const event = await gateway.next();
      expect(event.revision).toBeGreaterThan(revision);
      revision = event.revision;
      if (event.kind === 'put') table.set(event.host, event.route);
      if (event.kind === 'drop') table.delete(event.host);
    }
    expect(table).toEqual(new Map([['b.example', route('b.example', 500)]]));
  });

  test('hosts that came and went while a follower hung do not pile up', async () => {
    const bus = await make();
    await bus.begin(1, [route('a.example')]);
    const gateway = follow(bus);
    await gateway.next();
    const hosts = 20_000;
    for (let index = 0; index < hosts; index += 1) {
      await bus.put(1, route(`gone-${index}.example`));
      await bus.drop(1, `gone-${index}.example`);
    }
    const last = await bus.put(1, route('z.example'));
    let events = 0;
    const table = new Set(['a.example']);
    for (let revision = 0; revision < last; events += 1) {
      const event = await gateway.next();
      revision = event.revision;
      if (event.kind === 'snapshot') table.clear();
      for (const host of hostsIn(event)) {
        if (event.kind === 'drop') table.delete(host);
        else table.add(host);
      }
    }
    expect([...table]).toEqual(['a.example', 'z.example']);
    expect(events).toBeLessThan(hosts / 2);
  });

  test('two followers go at their own pace', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const [quick, slow] = [follow(bus, 'quick'), follow(bus, 'slow')];
    await quick.next();
    await slow.next();
    await bus.put(1, route('a.example'));
    await quick.next();
    await bus.put(1, route('b.example'));
    expect(hostsIn(await quick.next())).toEqual(['b.example']);
    expect(hostsIn(await slow.next())).toEqual(['a.example']);
    expect(hostsIn(await slow.next())).toEqual(['b.example']);
  });
}

function acknowledgements(make: Make, follow: Follow): void {
  test('a gateway is live from its first acknowledgement, with what it said last', async () => {
    const bus = await make();
    await bus.begin(1, []);
    follow(bus, 'one');
    follow(bus, 'two');
    expect(bus.acks()).toEqual([]);
    bus.acknowledge({ gateway: 'one', revision: 1 });
    bus.acknowledge({ gateway: 'one', revision: 2 });
    expect(bus.acks()).toEqual([{ gateway: 'one', revision: 2 }]);
    bus.acknowledge({ gateway: 'two', revision: 1 });
    expect(bus.acks()).toHaveLength(2);
  });

  test('the controller hears of joining, acknowledging and leaving, until it no longer listens', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const changed = vi.fn<() => void>();
    const end = bus.onAcks(changed);
    const gateway = follow(bus, 'one');
    await gateway.next();
    const heard = async (act: () => unknown): Promise<boolean> => {
      changed.mockClear();
      await act();
      return vi.waitFor(() => {
        expect(changed).toHaveBeenCalled();
        return true;
      });
    };
    expect(await heard(() => bus.acknowledge({ gateway: 'one', revision: 1 }))).toBe(true);
    expect(await heard(() => bus.acknowledge({ gateway: 'one', revision: 2 }))).toBe(true);
    expect(await heard(() => gateway.leave())).toBe(true);
    end();
    changed.mockClear();
    follow(bus, 'two');
    bus.acknowledge({ gateway: 'two', revision: 1 });
    expect(changed).not.toHaveBeenCalled();
  });

  test('a gateway that leaves is live no more', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = follow(bus, 'one');
    bus.acknowledge({ gateway: 'one', revision: 1 });
    await gateway.leave();
    expect(bus.acks()).toEqual([]);
  });

  test('aborting is leaving, even for a gateway that hangs or never looked', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const abort = new AbortController();
    bus.follow('hangs', abort.signal);
    bus.acknowledge({ gateway: 'hangs', revision: 1 });
    expect(bus.acks()).toHaveLength(1);
    abort.abort();
    await vi.waitFor(() => expect(bus.acks()).toEqual([]));
  });

  test('a late acknowledgement of a gateway that left does not bring it back', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = follow(bus, 'one');
    await gateway.leave();
    bus.acknowledge({ gateway: 'one', revision: 1 });
    expect(bus.acks()).toEqual([]);
  });

  test('a gateway that comes back before its old self is gone stays live', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const old = follow(bus, 'one');
    follow(bus, 'one');
    bus.acknowledge({ gateway: 'one', revision: 1 });
    await old.leave();
    expect(bus.acks()).toEqual([{ gateway: 'one', revision: 1 }]);
  });

  test('aborting ends the iteration without an error', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = follow(bus);
    await gateway.next();
    const waiting = gateway.events.next();
    await gateway.leave();
    expect((await waiting).done).toBe(true);
  });
}
