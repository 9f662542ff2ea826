import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { DesiredPod, PodState, PodStatus } from '#contracts/pod.ts';
import { desiredPods, podKey, podStatuses, sealContext } from '#contracts/pod.ts';
import type { Route } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';
import { isRunning } from '../test/conformance/runtime.ts';
import { desiredPod } from '../test/pod-examples.ts';
import { startController } from './controller.ts';
import type { Runtime } from './runtime/runtime.ts';
import { RuntimeUnavailable } from './runtime/runtime.ts';
import { createProcessRuntime } from './runtime/process/runtime.ts';

const key = 'default/mypod';
const host = 'mypod.pods.example.org';
const patience = { timeout: 15_000, interval: 10 };
const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
}, 30_000);

/** A gateway that does nothing but keep the table; `hold` keeps it from acknowledging. */
class TestGateway {
  readonly table = new Map<string, Route>();
  /** Hosts that ever lost their route. */
  readonly dropped: string[] = [];
  readonly #bus: MemoryRouteBus;
  readonly #stop = new AbortController();
  #revision = 0;
  #epoch = '';
  #held = false;

  constructor(bus: MemoryRouteBus, id = 'gw') {
    this.#bus = bus;
    void this.#follow(id);
  }

  hold(): void {
    this.#held = true;
  }

  release(gateway = 'gw'): void {
    this.#held = false;
    this.#bus.acknowledge({ gateway, epoch: this.#epoch, revision: this.#revision });
  }

  stop(): void {
    this.#stop.abort();
  }

  async #follow(gateway: string): Promise<void> {
    for await (const event of this.#bus.follow(gateway, this.#stop.signal)) {
      if (event.kind === 'snapshot') {
        this.table.clear();
        for (const [name, told] of event.routes) this.table.set(name, zRoute.parse(told.route));
      } else if (event.kind === 'put') this.table.set(event.host, zRoute.parse(event.route));
      else if (event.kind === 'drop' && this.table.delete(event.host))
        this.dropped.push(event.host);
      this.#epoch = event.epoch;
      this.#revision = event.revision;
      if (!this.#held) this.release(gateway);
    }
  }
}

async function world(): Promise<{
  store: MemoryStore;
  bus: MemoryRouteBus;
  gateway: TestGateway;
  logs: MemoryLogExchange;
  runtime(this: void): Promise<Runtime>;
  start(this: void, runtime: Runtime, holder?: string): Promise<{ stop(): Promise<void> }>;
  desire(this: void, change?: DesiredChange): Promise<void>;
  erase(this: void): Promise<void>;
  status(this: void): Promise<PodStatus | undefined>;
  reaches(this: void, state: PodState): Promise<PodStatus>;
}> {
  const dataDir = await mkdtemp(join(tmpdir(), 'podgate-controller-'));
  cleanups.push(() => rm(dataDir, { recursive: true, force: true }));
  const store = new MemoryStore();
  const bus = new MemoryRouteBus();
  const gateway = new TestGateway(bus);
  cleanups.push(async () => gateway.stop());
  const logs = new MemoryLogExchange();
  const leases = new MemoryLeases(systemClock);
  const sealer = openSealer(join(dataDir, 'secret.key'));
  const ports = {
    store,
    routes: bus,
    logs,
    leases,
    sealer,
    clock: systemClock,
    random: systemRandom,
    log,
  };
  const desired = desiredPods(store);
  const statuses = podStatuses(store);
  const status = async (): Promise<PodStatus | undefined> => (await statuses.get(key))?.value;
  return {
    store,
    bus,
    gateway,
    logs,
    async runtime() {
      const made = await createProcessRuntime({ dataDir, user: undefined, ...ports });
      cleanups.push(() => made.stopAll(1_000));
      return made;
    },
    async start(runtime, holder = 'test') {
      const controller = startController(
        { ...ports, runtime },
        { site: { domain: 'example.org', tenant: 'default' }, holder, registries: new Map() },
      );
      cleanups.push(() => controller.stop());
      await controller.settled;
      return controller;
    },
    async desire({ environment = {}, ...change } = {}) {
      const name = podKey('default', change.podId ?? 'mypod');
      const pod = desiredPod({
        environment: sealer.seal(JSON.stringify(environment), sealContext.environment(name)),
        credentials: {
          userUsername: 'mypod',
          userPassword: sealer.seal('s3cret', sealContext.credentials(name)),
        },
        ...change,
      });
      await desired.put(name, pod, 'anything');
    },
    erase: () => desired.remove(key, 'anything'),
    status,
    reaches: (state) =>
      vi.waitFor(async () => {
        const now = await status();
        if (now?.state !== state)
          throw new Error(`is ${now?.state} (${now?.message}), not ${state}`);
        return now;
      }, patience),
  };
}

type DesiredChange = Partial<Omit<DesiredPod, 'environment'>> & {
  environment?: Record<string, string>;
};

const script = (text: string): Pick<DesiredPod, 'image' | 'command' | 'networking'> => ({
  image: 'podgate/process',
  // `$$` is the shell's pid to the script and an escaped `$` to the runtime.
  command: ['/bin/sh', '-c', text.replaceAll('$$', () => '$$$$')],
  networking: {},
});

async function fetchStatus(route: Route | undefined): Promise<number> {
  const { upstream } = zRoute.parse(route);
  if (!upstream) throw new Error('no upstream');
  return (await fetch(`http://${upstream.host}:${upstream.port}/healthz`)).status;
}

describe('the controller', { timeout: 40_000 }, () => {
  test('brings a pod up, off, up again, restarts it, and takes it away', async () => {
    const { gateway, runtime, start, desire, erase, status, reaches } = await world();
    const processes = await runtime();
    await start(processes);

    await desire();
    const up = await reaches('AVAILABLE');
    expect(up).toMatchObject({ generation: 1, run: 1, phase: 'Running' });
    expect(up.startedAtMs).not.toBeNull();
    expect(await fetchStatus(gateway.table.get(host))).toBe(200);

    await desire({ requested: 'OFF' });
    await reaches('STOPPED');
    expect(gateway.table.get(host)).toMatchObject({ state: 'stopped', upstream: null });
    expect((await processes.observe(key))?.phase).toBe('exited');

    await desire({ generation: 2, generationCause: 'start' });
    expect(await reaches('AVAILABLE')).toMatchObject({ generation: 2, run: 2 });

    await desire({ generation: 3, generationCause: 'restart' });
    await vi.waitFor(async () => {
      expect(await status()).toMatchObject({ generation: 3, run: 3, state: 'AVAILABLE' });
    }, patience);
    expect(await fetchStatus(gateway.table.get(host))).toBe(200);

    await erase();
    await vi.waitFor(async () => expect(await status()).toBeUndefined(), patience);
    expect(gateway.table.has(host)).toBe(false);
    expect(await processes.list()).toEqual([]);
  });

  test('launches that take long hold up neither a stop nor a deletion', async () => {
    const { runtime, start, desire, erase, status, reaches } = await world();
    const processes = await runtime();
    await start(processes);
    await desire();
    await reaches('AVAILABLE');
    const { promise, reject } = Promise.withResolvers<void>();
    cleanups.push(async () => reject(new RuntimeUnavailable('the test is over')));
    const launch = vi.spyOn(processes, 'start').mockReturnValue(promise);
    for (let i = 0; i < 300; i += 1) await desire({ podId: `other${i}` });
    await vi.waitFor(() => expect(launch.mock.calls.length).toBeGreaterThanOrEqual(32), patience);
    await desire({ requested: 'OFF' });
    await reaches('STOPPED');
    await erase();
    await vi.waitFor(async () => expect(await status()).toBeUndefined(), patience);
    expect(launch.mock.calls.length).toBeLessThan(300);
  });

  test('a pod is available only when the gateways serve its route', async () => {
    const { bus, gateway, runtime, start, desire, status, reaches } = await world();
    await start(await runtime());
    gateway.hold();
    await desire();
    await vi.waitFor(async () => {
      expect((await status())?.message).toMatch(/gateways are about to/);
    }, patience);
    const second = new TestGateway(bus, 'gw2');
    cleanups.push(async () => second.stop());
    gateway.release();
    await reaches('AVAILABLE');
  });

  test('gateways let go of a pod before it is stopped', async () => {
    const { gateway, runtime, start, desire, reaches } = await world();
    const processes = await runtime();
    await start(processes);
    await desire();
    await reaches('AVAILABLE');
    gateway.hold();
    const stop = vi.spyOn(processes, 'stop');
    await desire({ requested: 'OFF' });
    await vi.waitFor(() => expect(gateway.table.get(host)?.upstream).toBeNull(), patience);
    expect(stop).not.toHaveBeenCalled();
    gateway.release();
    await vi.waitFor(() => expect(stop).toHaveBeenCalled(), { timeout: 900, interval: 5 });
    await reaches('STOPPED');
  });

  test('a gateway that hangs does not keep a pod alive', async () => {
    const { gateway, runtime, start, desire, reaches } = await world();
    await start(await runtime());
    await desire();
    await reaches('AVAILABLE');
    gateway.hold();
    await desire({ requested: 'OFF' });
    await reaches('STOPPED');
  });

  test('secrets are opened for the program alone', async () => {
    const { store, logs, runtime, start, desire, reaches } = await world();
    await start(await runtime());
    await desire({
      ...script('echo "$0 $WHO"'),
      arguments: ['<<TAPIS_user_username>>'],
      environment: { WHO: '<<TAPIS_user_password>>$(HOME)' },
    });
    await reaches('COMPLETE');
    expect(await logs.read(key)).toMatch(/^mypod s3cret\/.*mypod\/work\n$/);
    const documents = [...(await store.list('pods')), ...(await store.list('pod-status'))];
    expect(JSON.stringify(documents)).not.toContain('s3cret');
    expect(JSON.stringify(log.info.mock.calls)).not.toContain('s3cret');
  });

  test('a failing program is started again, and its failures are told', async () => {
    const { runtime, start, desire, reaches } = await world();
    await start(await runtime());
    await desire(script('if [ -e again ]; then exit 0; fi; touch again; echo oh no; exit 3'));
    const done = await reaches('COMPLETE');
    expect(done.run).toBe(2);
    expect(done.failuresAtMs).toHaveLength(1);
    expect(done.actions.map(({ text }) => text).join('\n')).toMatch(
      /exit code 3; it starts again 1 s/,
    );
  });

  test('a program that cannot be started is an error that says why', async () => {
    const { gateway, runtime, start, desire, reaches } = await world();
    await start(await runtime());
    await desire({ image: 'nginx:latest' });
    expect((await reaches('ERROR')).message).toContain('nginx:latest');
    expect(gateway.table.get(host)?.state).toBe('failed');
  });

  test('time_to_stop stops a pod for good', async () => {
    const { runtime, start, desire, reaches } = await world();
    await start(await runtime());
    await desire({ timeToStopInstance: 1 });
    const off = await reaches('STOPPED');
    expect(off).toMatchObject({ expiredGeneration: 1, stopAtMs: null });
    expect(off.actions.map(({ text }) => text).join('\n')).toContain('time_to_stop');
  });

  test('pods outlive their controller, and the next one finds them before gateways hear of it', async () => {
    const { gateway, runtime, start, desire, reaches } = await world();
    const first = await runtime();
    const controller = await start(first);
    await desire();
    await reaches('AVAILABLE');
    const before = gateway.table.get(host);
    await controller.stop();
    first.close();
    expect(await fetchStatus(before)).toBe(200);
    await start(await runtime());
    await vi.waitFor(() => expect(gateway.table.get(host)).toEqual(before), patience);
    expect(await reaches('AVAILABLE')).toMatchObject({ run: 1 });
    expect(gateway.dropped).toEqual([]);
  });

  test('a new leader that cannot look at the pods leaves their routes as they are', async () => {
    const { gateway, runtime, start, desire, reaches } = await world();
    const first = await runtime();
    const controller = await start(first);
    await desire();
    await reaches('AVAILABLE');
    const before = gateway.table.get(host);
    await controller.stop();
    first.close();
    const next = await runtime();
    const away = new RuntimeUnavailable('it is restarted');
    vi.spyOn(next, 'observe').mockRejectedValueOnce(away);
    await start(next);
    await reaches('AVAILABLE');
    expect(gateway.table.get(host)).toEqual(before);
    expect(gateway.dropped).toEqual([]);
  });

  test('where pods run nobody tells which there are: the reign goes on, and pods are seen to', async () => {
    const { gateway, runtime, start, desire, reaches } = await world();
    const place = await runtime();
    vi.spyOn(place, 'list').mockRejectedValue(new RuntimeUnavailable('it is restarted'));
    await desire();
    await start(place);
    await reaches('AVAILABLE');
    expect(await fetchStatus(gateway.table.get(host))).toBe(200);
    expect(log.error).not.toHaveBeenCalledWith(expect.anything(), 'leading failed; trying again');
  });

  test('what was stopped with everything else runs again after the next start, without blame', async () => {
    const { gateway, runtime, start, desire, status } = await world();
    const first = await runtime();
    const controller = await start(first);
    await desire();
    await vi.waitFor(async () => expect((await status())?.state).toBe('AVAILABLE'), patience);
    await controller.stop();
    await first.stopAll(3_000);
    await start(await runtime());
    await vi.waitFor(async () => {
      expect(await status()).toMatchObject({
        state: 'AVAILABLE',
        run: 2,
        generation: 1,
        failuresAtMs: [],
      });
    }, patience);
    expect(await fetchStatus(gateway.table.get(host))).toBe(200);
  });

  test('what was deleted while no controller was there is removed by the next', async () => {
    const { gateway, runtime, start, desire, erase, status, reaches } = await world();
    const first = await runtime();
    const controller = await start(first);
    await desire(script('echo $$; exec sleep 300'));
    await reaches('AVAILABLE');
    await vi.waitFor(async () => expect(await first.logs(key)).toMatch(/\d/), patience);
    const pid = Number(await first.logs(key));
    await controller.stop();
    first.close();
    await erase();
    const next = await runtime();
    await start(next);
    await vi.waitFor(async () => expect(await status()).toBeUndefined(), patience);
    expect(await next.list()).toEqual([]);
    expect(isRunning(pid)).toBe(false);
    expect(gateway.table.size).toBe(0);
  });

  test('a pod that is deleted and made anew at once gets nothing from the old one', async () => {
    const { logs, runtime, start, desire, erase, reaches } = await world();
    const processes = await runtime();
    await start(processes);
    await desire(script('echo first; echo mine > note; exec sleep 300'));
    await reaches('AVAILABLE');
    await erase();
    await desire({ ...script('cat note || echo clean; exec sleep 300'), createdAtMs: 1 });
    await vi.waitFor(async () => expect(await logs.read(key)).toMatch(/clean/), patience);
    expect(await logs.read(key)).not.toContain('first');
    await reaches('AVAILABLE');
  });

  test('a second controller waits for the first to go', async () => {
    const { runtime, start, desire, reaches } = await world();
    const processes = await runtime();
    const first = await start(processes, 'one');
    const idle = await runtime();
    const started = vi.spyOn(idle, 'start');
    await start(idle, 'two');
    await desire(script('exec sleep 300'));
    await reaches('AVAILABLE');
    expect(started).not.toHaveBeenCalled();
    await first.stop();
    await desire({ ...script('exec sleep 300'), requested: 'OFF' });
    await reaches('STOPPED');
  });

  test('a stored pod that does not parse is reported and harms nobody else', async () => {
    const { store, gateway, runtime, start, desire, reaches } = await world();
    await store.put('pods', { id: 'default/broken', value: { tenant: 1 } }, 'anything');
    await desire();
    await start(await runtime());
    await reaches('AVAILABLE');
    expect(gateway.table.size).toBe(1);
    expect(log.error).toHaveBeenCalledWith(
      expect.objectContaining({ key: 'default/broken' }),
      expect.any(String),
    );
  });
});
