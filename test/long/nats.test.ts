import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { BusUnavailable } from '#contracts/route.ts';
import { FencedOff } from '#contracts/store.ts';
import { parseNatsUrl } from '#adapters/nats/address.ts';
import { NatsLink } from '#adapters/nats/link.ts';
import { NatsRouteBus } from '#adapters/nats/route-bus.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { Publisher } from '../../controller/publish.ts';
import { followRoutes } from '../../gateway/route-following.ts';
import { RouteRegister } from '../../gateway/route-register.ts';
import { RouteTable } from '../../gateway/route-table.ts';
import { Cable } from '../faults/proxy.ts';
import { exampleRoute } from '../gateway-examples.ts';
import { eventually } from '../processes.ts';
import { natsProgram, NatsServer } from '../programs/nats.ts';
import { available } from '../programs/run.ts';

/** Routes over a NATS that dies, forgets and is cut off: gateways' tables and the controller's end, alone. */

const program = (await available('routes over NATS with faults', natsProgram)) ?? '';
const log = { debug() {}, info() {}, warn() {}, error() {} };
const system = { clock: systemClock, random: systemRandom, log };
const beatMs = 250;

type Table = Map<string, Route>;
const tableOf = (count: number, port = 1): Table =>
  new Map(
    Array.from({ length: count }, (_, n) => {
      const host = `h${n}.pods.test`;
      return [host, exampleRoute({ host, pod: `h${n}`, upstream: { host: '127.0.0.1', port } })];
    }),
  );
/** Each pod has one route. */
const podsOf = (table: Table) => new Map(table.entries().map(([host, route]) => [host, [route]]));

describe.skipIf(!program)('routes over a real NATS', () => {
  let server: NatsServer;
  const ends: (() => Promise<void>)[] = [];
  const cables: Cable[] = [];

  beforeAll(async () => void (server = await NatsServer.start(program)));
  afterEach(async () => {
    for (const made of cables) made.heal();
    for (const end of ends.splice(0).toReversed()) await end();
    for (const made of cables.splice(0)) made.close();
    // Each test begins with a server that knows nothing.
    await server.kill();
    server.forget();
    await server.start();
  });
  afterAll(() => server.stop());

  async function connect(port = server.port): Promise<NatsLink> {
    const address = parseNatsUrl(`nats://127.0.0.1:${port}`);
    const settings = { address, creds: undefined, ca: undefined, replicas: 1, name: 'test' };
    const link = new NatsLink(settings, system);
    ends.push(() => link.close());
    await link.connected();
    return link;
  }

  async function cable(): Promise<Cable> {
    const made = await Cable.to(server.port);
    cables.push(made);
    return made;
  }

  /** A gateway's table; `smallest` is the least it ever had since it had any. */
  async function gateway(id: string, port?: number) {
    const bus = new NatsRouteBus(await connect(port), system);
    const register = new RouteRegister(
      systemClock,
      new RouteTable('test', { host: '127.0.0.1', port: 1 }),
    );
    const seen = { smallest: Infinity };
    const changed = (): void => {
      seen.smallest = Math.min(seen.smallest, register.routes.size);
      const { epoch = '', revision } = register;
      bus.acknowledge({ gateway: id, epoch, revision });
    };
    const abort = new AbortController();
    const ports = { ...system, routes: bus, register, gateway: id, changed };
    const done = followRoutes(ports, abort.signal);
    ends.push(async () => {
      abort.abort();
      await done;
    });
    const has = (table: Table): boolean =>
      register.routes.size === table.size &&
      table
        .entries()
        .every(([host, route]) => register.find(host)?.upstream?.port === route.upstream?.port);
    return { register, seen, has };
  }

  /** A controller's reign, which beats. What it was told when a beat failed is kept. */
  async function reign(token: number, table: Table, bus?: NatsRouteBus) {
    const own = bus ?? new NatsRouteBus(await connect(), system);
    const publisher = new Publisher(own, token, systemClock);
    await publisher.begin(podsOf(table));
    const failures: unknown[] = [];
    let cancel: (() => void) | undefined;
    const beat = (): void => {
      void Promise.resolve(publisher.beat()).catch((error: unknown) => failures.push(error));
      cancel = systemClock.after(beatMs, beat);
    };
    beat();
    ends.push(async () => cancel?.());
    return { bus: own, publisher, failures };
  }

  test('20,000 routes reach every gateway, as do their updates; a new reign rewrites none', async () => {
    const table = tableOf(20_000);
    const gateways = await Promise.all([gateway('one'), gateway('two')]);
    const { publisher } = await reign(1, table);
    await eventually(() => gateways.every(({ has }) => has(table)));
    for (const [host, route] of tableOf(500, 2)) {
      table.set(host, route);
      await publisher.publish(host, [route]);
    }
    for (const host of [...table.keys()].slice(-500)) {
      table.delete(host);
      await publisher.publish(host, []);
    }
    await eventually(() => gateways.every(({ has }) => has(table)));
    const revision = gateways[0]?.register.revision ?? 0;
    await reign(2, table);
    await eventually(() => gateways.every(({ register }) => register.revision > revision));
    // Whose reign it is, twice.
    expect(gateways[0]?.register.revision).toBeLessThan(revision + 10);
    const late = await gateway('late');
    await eventually(() => late.has(table));
  });

  test('a server that is killed and comes back has everything, and what follows reaches all', async () => {
    const table = tableOf(1_000);
    const one = await gateway('one');
    const { publisher } = await reign(1, table);
    await eventually(() => one.has(table));
    await server.kill();
    await expect(publisher.publish('x', [exampleRoute({ host: 'x.pods.test' })])).rejects.toThrow(
      BusUnavailable,
    );
    await server.start();
    const route = exampleRoute({ host: 'x.pods.test' });
    table.set('x.pods.test', route);
    await eventually(async () => {
      await publisher.publish('x', [route]).catch(() => undefined);
      return one.has(table);
    });
    expect(one.seen.smallest).toBe(1_000);
  });

  test('a server that comes back empty is filled by the next reign, and no gateway loses a route', async () => {
    const table = tableOf(1_000);
    const one = await gateway('one');
    const { failures } = await reign(1, table);
    await eventually(() => one.has(table));
    const { epoch } = one.register;
    await server.kill();
    server.forget();
    await server.start();
    // The controller is told, so that it takes the lease anew.
    await eventually(() => failures.some((error) => error instanceof FencedOff));
    table.set('x.pods.test', exampleRoute({ host: 'x.pods.test' }));
    await reign(2, table);
    await eventually(() => one.has(table));
    expect(one.register.epoch).not.toBe(epoch);
    expect(one.seen.smallest).toBe(1_000);
  });

  test('a gateway that is cut off serves what it has, counts as gone, and has all when it is back', async () => {
    const table = tableOf(1_000);
    const line = await cable();
    const cutOff = await gateway('cut off', line.port);
    const other = await gateway('other');
    const { bus, publisher } = await reign(1, table);
    await eventually(() => bus.acks().length === 2 && cutOff.has(table) && other.has(table));
    line.cut();
    for (const [host, route] of tableOf(100, 2)) {
      table.set(host, route);
      await publisher.publish(host, [route]);
    }
    for (const host of [...table.keys()].slice(-100)) {
      table.delete(host);
      await publisher.publish(host, []);
    }
    await eventually(() => other.has(table) && bus.acks().length === 1);
    expect(cutOff.register.routes.size).toBe(1_000);
    line.heal();
    await eventually(() => cutOff.has(table) && bus.acks().length === 2);
  });

  test('a leader that was paused with writes on their way changes nothing when it wakes', async () => {
    const line = await cable();
    const one = await gateway('one');
    const old = await reign(1, tableOf(10), new NatsRouteBus(await connect(line.port), system));
    await eventually(() => one.register.routes.size === 10);
    line.cut();
    const writes = tableOf(10, 9)
      .entries()
      .map(([host, route]) => old.publisher.publish(host, [route]))
      .toArray();
    const refused = Promise.allSettled(writes);
    const table = tableOf(20, 5);
    const next = await reign(2, table);
    // All of it, the last word of the new reign included, which changes no route.
    await eventually(() => next.bus.acks().length === 1);
    await next.publisher.settled('h0.pods.test', 10_000);
    expect(one.has(table)).toBe(true);
    const { revision } = one.register;
    line.heal();
    const outcomes = await refused;
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    await eventually(() => old.failures.some((error) => error instanceof FencedOff));
    await expect(old.publisher.publish('y', [exampleRoute({ host: 'y.test' })])).rejects.toThrow(
      FencedOff,
    );
    expect(one.has(table)).toBe(true);
    expect(one.register.revision).toBe(revision);
  });

  test('controllers that fight leave the table of the last one', async () => {
    const one = await gateway('one');
    const fighters = [
      new NatsRouteBus(await connect(), system),
      new NatsRouteBus(await connect(), system),
    ];
    const unexpected: unknown[] = [];
    const over = new AbortController();
    const writing: Promise<void>[] = [];
    for (let token = 1; token <= 10; token += 1) {
      const bus = fighters[token % 2];
      const { publisher } = await reign(token, tableOf(50, token), bus);
      const write = async (): Promise<void> => {
        for (let n = 0; !over.signal.aborted; n += 1) {
          const host = `h${n % 50}.pods.test`;
          const upstream = { host: '127.0.0.1', port: 100 + (n % 60_000) };
          await publisher.publish(host, [exampleRoute({ host, upstream })]);
        }
      };
      writing.push(
        write().catch((error: unknown) => {
          if (!(error instanceof FencedOff)) unexpected.push(error);
        }),
      );
    }
    const last = await reign(11, tableOf(50, 11), fighters[1]);
    over.abort();
    await Promise.all(writing);
    await eventually(() => one.has(tableOf(50, 11)));
    expect(unexpected).toEqual([]);
    expect(last.failures).toEqual([]);
  });
});
