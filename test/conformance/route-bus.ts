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

function hostsIn(event: RouteEvent): string[] {
  if (event.kind === 'snapshot') return [...event.routes.keys()].toSorted();
  return event.kind === 'put' || event.kind === 'drop' ? [event.host] : [];
}

/** The table of someone who follows, with what was checked of each event: nothing lies between two. */
class Table {
  readonly routes = new Map<string, unknown>();
  epoch = '';
  revision = -1;
  events = 0;

  take(event: RouteEvent): void {
    this.events += 1;
    if (event.kind === 'beat') return;
    if (event.kind === 'snapshot') {
      this.routes.clear();
      for (const [host, told] of event.routes) this.routes.set(host, told.route);
      this.epoch = event.epoch;
    } else {
      expect(event.epoch).toBe(this.epoch);
      expect(event.previous).toBe(this.revision);
      expect(event.revision).toBeGreaterThan(this.revision);
      if (event.kind === 'put') this.routes.set(event.host, event.route);
      if (event.kind === 'drop') this.routes.delete(event.host);
    }
    this.revision = event.revision;
  }

  /** Takes events until it is at `revision`. */
  async reach(following: Following, revision: number): Promise<this> {
    while (this.revision < revision) this.take(await following.next());
    return this;
  }
}

const epochOf = async (following: Following): Promise<string> => (await following.next()).epoch;

/** Whether `promise` settles while everything that is ready to run has run. */
async function settlesSoon(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => (settled = true)).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 30));
  return settled;
}

function reigns(make: Make, follow: Follow): void {
  test('begin replaces everything, and says since when each route is as it is', async () => {
    const bus = await make();
    const first = await bus.begin(1, [route('a.example'), route('b.example'), route('c.example')]);
    const gateway = follow(bus);
    const table = await new Table().reach(gateway, first.revision);
    expect([...table.routes.keys()].toSorted()).toEqual(['a.example', 'b.example', 'c.example']);
    const begun = await bus.begin(2, [route('b.example'), route('c.example', 81)]);
    await table.reach(gateway, begun.revision);
    expect(table.routes).toEqual(
      new Map([
        ['b.example', route('b.example')],
        ['c.example', route('c.example', 81)],
      ]),
    );
    expect([...begun.revisions.keys()].toSorted()).toEqual(['b.example', 'c.example']);
    expect(begun.revisions.get('b.example')).toBe(first.revisions.get('b.example'));
    expect(begun.revisions.get('c.example')).toBeGreaterThan(first.revision);
  });

  test('pods of which a new leader knows nothing keep the routes they have', async () => {
    const bus = await make();
    const before = await bus.begin(1, [route('a.example'), route('b.example')]);
    const following = follow(bus);
    await following.next();
    const other = { ...route('c.example'), pod: 'other' };
    const begun = await bus.begin(2, [other], new Set(['default/shop']));
    expect(begun.kept.map(({ host }) => host).toSorted()).toEqual(['a.example', 'b.example']);
    expect(begun.revisions.get('a.example')).toBe(before.revisions.get('a.example'));
    expect(hostsIn(await following.next())).toEqual(['c.example']);
    const last = await bus.begin(3, [], new Set(['default/other']));
    expect(last.kept).toEqual([other]);
    expect([...last.revisions.keys()]).toEqual(['c.example']);
  });

  test('who follows later than begin hears that the table is all there is', async () => {
    const bus = await make();
    const { revision, revisions } = await bus.begin(1, [route('b.example')]);
    const told = { revision: revisions.get('b.example') ?? NaN, route: route('b.example') };
    expect(await follow(bus).next()).toEqual({
      kind: 'snapshot',
      epoch: expect.any(String),
      revision,
      routes: new Map([['b.example', told]]),
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
      (await bus.begin(1, [])).revision,
      await bus.put(1, route('a.example')),
      await bus.put(1, route('a.example', 81)),
      await bus.drop(1, 'a.example'),
      (await bus.begin(2, [])).revision,
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
    const { epoch, revision } = await gateway.next();
    const put = await bus.put(1, route('a.example'));
    expect(await gateway.next()).toEqual({
      kind: 'put',
      epoch,
      revision: put,
      previous: revision,
      host: 'a.example',
      route: route('a.example'),
    });
    const drop = await bus.drop(1, 'a.example');
    expect(await gateway.next()).toEqual({
      kind: 'drop',
      epoch,
      revision: drop,
      previous: put,
      host: 'a.example',
    });
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
    expect(first.kind === 'snapshot' && first.routes.get('a.example')?.route).toEqual(
      route('a.example'),
    );
  });

  test('a slow follower ends with the newest state of every host, in order', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = follow(bus);
    const table = new Table();
    table.take(await gateway.next());
    for (let port = 1; port <= 500; port += 1) {
      await bus.put(1, route('a.example', port));
      await bus.put(1, route('b.example', port));
    }
    const last = await bus.drop(1, 'a.example');
    await table.reach(gateway, last);
    expect(table.routes).toEqual(new Map([['b.example', route('b.example', 500)]]));
  });

  test('hosts that came and went while a follower hung do not pile up', async () => {
    const bus = await make();
    await bus.begin(1, [route('a.example')]);
    const gateway = follow(bus);
    const table = new Table();
    table.take(await gateway.next());
    const hosts = 4_000;
    for (let index = 0; index < hosts; index += 1) {
      await bus.put(1, route(`gone-${index}.example`));
      await bus.drop(1, `gone-${index}.example`);
    }
    const last = await bus.put(1, route('z.example'));
    await table.reach(gateway, last);
    expect([...table.routes.keys()].toSorted()).toEqual(['a.example', 'z.example']);
    expect(table.events).toBeLessThan(hosts / 2);
  });

  test('what the controller says of its table reaches who follows, but not from a leader before', async () => {
    const bus = await make();
    const { revision } = await bus.begin(2, [route('a.example')]);
    const gateway = follow(bus);
    const epoch = await epochOf(gateway);
    await expect(bus.beat(1, { revision, count: 7, hash: 7 })).rejects.toThrow(FencedOff);
    await bus.beat(2, { revision, count: 1, hash: 0xffff_ffff });
    expect(await gateway.next()).toEqual({
      kind: 'beat',
      epoch,
      revision,
      count: 1,
      hash: 0xffff_ffff,
    });
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

/** A gateway that has the table, and what it says of it. */
async function joined(bus: RouteBus, follow: Follow, gateway: string) {
  const following = follow(bus, gateway);
  const { epoch } = await following.next();
  const acknowledge = (revision: number): void => bus.acknowledge({ gateway, epoch, revision });
  return { ...following, epoch, acknowledge };
}

const ackSoon = { timeout: 10_000, interval: 10 };
const acked = (bus: RouteBus, ...expected: readonly (readonly [string, number])[]): Promise<void> =>
  vi.waitFor(() => {
    const acks = bus.acks().map(({ gateway, revision }) => [gateway, revision] as const);
    expect(acks.toSorted(([a], [b]) => a.localeCompare(b))).toEqual(expected);
  }, ackSoon);

function acknowledgements(make: Make, follow: Follow): void {
  test('a gateway is live from its first acknowledgement, with what it said last', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const [one, two] = [await joined(bus, follow, 'one'), await joined(bus, follow, 'two')];
    await acked(bus);
    one.acknowledge(1);
    one.acknowledge(2);
    await acked(bus, ['one', 2]);
    two.acknowledge(1);
    await acked(bus, ['one', 2], ['two', 1]);
  });

  test('an acknowledgement of another table than there is now counts for nothing', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const [one, two] = [await joined(bus, follow, 'one'), await joined(bus, follow, 'two')];
    bus.acknowledge({ gateway: 'one', epoch: 'of yore', revision: 99 });
    two.acknowledge(1);
    await acked(bus, ['two', 1]);
    one.acknowledge(1);
    await acked(bus, ['one', 1], ['two', 1]);
  });

  test('the controller hears of joining, acknowledging and leaving, until it no longer listens', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const changed = vi.fn<() => void>();
    const end = bus.onAcks(changed);
    const gateway = await joined(bus, follow, 'one');
    const heard = async (act: () => unknown): Promise<boolean> => {
      changed.mockClear();
      await act();
      return vi.waitFor(() => {
        expect(changed).toHaveBeenCalled();
        return true;
      }, ackSoon);
    };
    expect(await heard(() => gateway.acknowledge(1))).toBe(true);
    expect(await heard(() => gateway.acknowledge(2))).toBe(true);
    expect(await heard(() => gateway.leave())).toBe(true);
    end();
    changed.mockClear();
    (await joined(bus, follow, 'two')).acknowledge(1);
    await acked(bus, ['two', 1]);
    expect(changed).not.toHaveBeenCalled();
  });

  test('a gateway that leaves is live no more', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const gateway = await joined(bus, follow, 'one');
    gateway.acknowledge(1);
    await acked(bus, ['one', 1]);
    await gateway.leave();
    await acked(bus);
  });

  test('aborting is leaving, even for a gateway that hangs', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const abort = new AbortController();
    const events = bus.follow('hangs', abort.signal)[Symbol.asyncIterator]();
    const { value } = await events.next();
    bus.acknowledge({ gateway: 'hangs', epoch: value?.epoch ?? '', revision: 1 });
    await acked(bus, ['hangs', 1]);
    abort.abort();
    await acked(bus);
  });

  test('a late acknowledgement of a gateway that left does not bring it back', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const [one, two] = [await joined(bus, follow, 'one'), await joined(bus, follow, 'two')];
    await one.leave();
    one.acknowledge(1);
    two.acknowledge(1);
    await acked(bus, ['two', 1]);
  });

  test('a gateway that comes back before its old self is gone stays live', async () => {
    const bus = await make();
    await bus.begin(1, []);
    const old = await joined(bus, follow, 'one');
    const other = await joined(bus, follow, 'two');
    const one = await joined(bus, follow, 'one');
    one.acknowledge(1);
    await acked(bus, ['one', 1]);
    await old.leave();
    other.acknowledge(1);
    await acked(bus, ['one', 1], ['two', 1]);
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
