import { expect, test, vi } from 'vitest';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods, podStatuses, sealContext } from '#contracts/pod.ts';
import { zSealed } from '#contracts/sealer.ts';
import { desiredPod, ended, running } from '../test/pod-examples.ts';
import { Publisher } from './publish.ts';
import type { ReconcileContext } from './reconcile.ts';
import { reconcile } from './reconcile.ts';
import type { Observed, RunSpec, Runtime } from './runtime/runtime.ts';
import { RunInProgress } from './runtime/runtime.ts';

/**
 * The controller dies at each of its awaits, before what was asked is done and after it: the next one
 * neither loses nor doubles anything.
 */

const key = 'default/mypod';
const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };

class Killed extends Error {
  override readonly name = 'RuntimeUnavailable';
}

/** Lets so many asks through, and dies around the next; then everything that is asked fails. */
class Fuse {
  readonly #at: number;
  readonly #when: 'before' | 'after';
  asked = 0;

  constructor(at: number, when: 'before' | 'after') {
    this.#at = at;
    this.#when = when;
  }

  wrap<T extends object>(port: T): T {
    const around = async (ask: () => unknown): Promise<unknown> => {
      this.asked += 1;
      const { asked } = this;
      if (asked > this.#at || (asked === this.#at && this.#when === 'before')) throw new Killed();
      const answer = await ask();
      if (asked === this.#at) throw new Killed();
      return answer;
    };
    const asynchronous = new Set(['get', 'put', 'remove', 'drop', 'observe', 'start', 'stop']);
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const bound = value.bind(target) as (...given: unknown[]) => unknown;
        if (!asynchronous.has(String(name))) return bound;
        return (...given: unknown[]) => around(() => bound(...given));
      },
    });
  }
}

/** Runs nothing, and remembers what it was asked for. */
class PaperRuntime implements Partial<Runtime> {
  seen: Observed | undefined;
  readonly launched: number[] = [];

  async start({ run, podCreatedAtMs }: RunSpec): Promise<void> {
    if (this.seen?.run === run) return;
    if (this.seen?.end === null) throw new RunInProgress();
    this.launched.push(run);
    this.seen = running({ run, podCreatedAtMs });
  }

  async observe(): Promise<Observed | undefined> {
    return this.seen;
  }

  async stop(): Promise<void> {
    if (this.seen?.end === null)
      this.seen = {
        ...ended({ run: this.seen.run, by: 'stopped' }),
        podCreatedAtMs: this.seen.podCreatedAtMs,
      };
  }

  async remove(): Promise<void> {
    this.seen = undefined;
  }
}

const sealed = (text: string) => zSealed.parse(text);
const sealer = {
  open: (_box: unknown, context: string) =>
    context === sealContext.environment(key) ? '{}' : 'secret',
} as unknown as ReconcileContext['sealer'];

async function world() {
  const store = new MemoryStore();
  const bus = new MemoryRouteBus();
  const runtime = new PaperRuntime();
  const desired = desiredPods(store);
  let token = 0;
  /** One reign, which ends where the fuse blows. */
  const reign = async (fuse: Fuse): Promise<void> => {
    token += 1;
    const publisher = new Publisher(fuse.wrap(bus), token, systemClock);
    await publisher.begin(new Map());
    const context: ReconcileContext = {
      desired: fuse.wrap(desired),
      statuses: fuse.wrap(podStatuses(store)),
      runtime: fuse.wrap(runtime) as unknown as Runtime,
      publisher,
      sealer,
      clock: systemClock,
      log,
      site: { domain: 'example.org', tenant: 'default' },
      registries: new Map(),
      rootTemplates: new Set(),
      fence: { lease: 'controller', token },
      checkLeading: () => undefined,
      awaitingGateways: new Set(),
    };
    await reconcile(context, key, 'launch');
  };
  const want = (pod: DesiredPod | undefined): Promise<unknown> =>
    pod ? desired.put(key, pod, 'anything') : desired.remove(key, 'anything');
  return { store, runtime, reign, want };
}

const pod = desiredPod({ environment: sealed('v1.k.n.c'), timeToStopDefault: -1 });
interface Change {
  readonly name: string;
  readonly before?: DesiredPod;
  readonly after?: DesiredPod;
  /** Runs that are launched in all, in their order, and whether the last lives. */
  readonly runs: readonly number[];
  readonly lives: boolean;
}

const off = { ...pod, requested: 'OFF' } as const;
const again = { ...pod, generation: 2, generationCause: 'restart' } as const;
const changes: readonly Change[] = [
  { name: 'a create', after: pod, runs: [1], lives: true },
  { name: 'a stop', before: pod, after: off, runs: [1], lives: false },
  { name: 'a restart', before: pod, after: again, runs: [1, 2], lives: true },
  { name: 'a deletion', before: pod, runs: [1], lives: false },
  {
    name: 'a deletion with a new pod of the name',
    before: pod,
    after: { ...pod, createdAtMs: 9 },
    runs: [1, 1],
    lives: true,
  },
];

const never = (): Fuse => new Fuse(Infinity, 'before');

test.each(changes)('$name survives a crash at each await', async (change) => {
  const { before, after, runs, lives } = change;
  for (const when of ['before', 'after'] as const) {
    for (let at = 1; ; at += 1) {
      const { runtime, reign, want, store } = await world();
      if (before) await want(before);
      await reign(never());
      await want(after);
      const fuse = new Fuse(at, when);
      const crashed = await reign(fuse).then(
        () => false,
        () => true,
      );
      await reign(never());
      const where = `${when} ask ${at}`;
      expect(runtime.launched, where).toEqual(runs);
      expect(runtime.seen?.end === null, where).toBe(lives);
      const status = await podStatuses(store).get(key);
      if (!after) expect([runtime.seen, status], where).toEqual([undefined, undefined]);
      else expect(status?.value.generation, where).toBe(after.generation);
      if (!crashed) {
        expect(at).toBeGreaterThan(4);
        break;
      }
    }
  }
});
