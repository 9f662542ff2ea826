import type { Observed, RunEnd, RunSpec } from '../../controller/runtime/runtime.ts';
import { RunInProgress } from '../../controller/runtime/runtime.ts';
import { Broadcast } from '../../controller/runtime/broadcast.ts';
import type { SeededRandom } from './random.ts';
import type { Timeline } from './timeline.ts';
import { addressOf } from './witness.ts';

/**
 * What a simulated program does, as the first word of its command; without one it serves.
 *
 * job: ends by itself with exit code 0; crash: with 1, each time; mute: never listens; refused: cannot
 * be started; stubborn: serves, and ignores SIGTERM.
 */
export const behaviours = ['serve', 'job', 'crash', 'mute', 'refused', 'stubborn'] as const;
export type Behaviour = (typeof behaviours)[number];

export const behaviourOf = (command: readonly string[] | null): Behaviour =>
  behaviours.find((behaviour) => behaviour === command?.[0]) ?? 'serve';

interface Run {
  readonly spec: RunSpec;
  readonly behaviour: Behaviour;
  seen: Observed;
  readonly cancels: (() => void)[];
  readonly gone: PromiseWithResolvers<void>;
  stopping: boolean;
}

export interface PlaceWatcher {
  /** It is told before a run begins. */
  started(spec: RunSpec): void;
  /** Somebody asks a living run to end. */
  stopped(key: string, seen: Observed): void;
}

/** Where all pods of a simulation run: what several controllers share, as a cluster. */
export class PodPlace {
  readonly #timeline: Timeline;
  readonly #random: SeededRandom;
  readonly #watcher: PlaceWatcher;
  readonly #runs = new Map<string, Run>();
  readonly #events = new Broadcast();
  readonly #listened = new Map<string, string>();
  #addresses = 0;
  #calm = false;

  constructor(timeline: Timeline, random: SeededRandom, watcher: PlaceWatcher) {
    this.#timeline = timeline;
    this.#random = random;
    this.#watcher = watcher;
  }

  /** From now on programs that serve do not fail by chance. */
  heal(): void {
    this.#calm = true;
  }

  keys(): string[] {
    return [...this.#runs.keys()];
  }

  /** Where a run listens, or did; undefined: it never came so far. */
  addressOf(key: string, run: number, network: string): string | undefined {
    return this.#listened.get(`${key} ${run} ${network}`);
  }

  observe(key: string): Observed | undefined {
    return this.#runs.get(key)?.seen;
  }

  events(signal: AbortSignal): AsyncIterable<string> {
    return this.#events.receive(signal);
  }

  start(spec: RunSpec): void {
    const before = this.#runs.get(spec.key);
    if (before && before.spec.podCreatedAtMs === spec.podCreatedAtMs) {
      // Later runs count the earlier ones as started.
      if (before.spec.run >= spec.run) return;
    }
    if (before && lives(before.seen))
      throw new RunInProgress(`run ${before.spec.run} of ${spec.key} is alive`);
    this.#watcher.started(spec);
    this.#begin(spec);
  }

  /** Resolves when it is gone. Does nothing when another run than the one that was seen is there. */
  async stop(key: string, seen: Observed | undefined, graceMs: number): Promise<void> {
    const found = this.#runs.get(key);
    if (!found || !lives(found.seen) || !isOf(found, seen)) return;
    if (!found.stopping) {
      found.stopping = true;
      this.#watcher.stopped(key, found.seen);
      const listensTo = found.behaviour !== 'stubborn';
      const afterMs = listensTo ? Math.min(graceMs, this.#random.between(1, 400)) : graceMs;
      const signal = afterMs === graceMs ? 'SIGKILL' : null;
      const how = { by: 'stopped', exitCode: signal ? null : 0, signal, message: '' } as const;
      this.#later(found, afterMs, () => this.#end(found, how));
    }
    await found.gone.promise;
  }

  async remove(key: string, seen: Observed | undefined): Promise<void> {
    await this.stop(key, seen, 0);
    const found = this.#runs.get(key);
    if (!found || !isOf(found, seen) || lives(found.seen)) return;
    this.#runs.delete(key);
    this.#events.send(key);
  }

  /** A program fails by itself, or its machine does. */
  fail(key: string, lost: boolean): void {
    const found = this.#runs.get(key);
    if (!found || !lives(found.seen)) return;
    const how = { exitCode: lost ? null : 137, signal: null, message: '' };
    this.#end(found, { by: lost ? 'lost' : 'itself', ...how });
  }

  #begin(spec: RunSpec): void {
    const behaviour = behaviourOf(spec.command);
    const seen: Observed = {
      run: spec.run,
      podCreatedAtMs: spec.podCreatedAtMs,
      phase: 'starting',
      startedAtMs: this.#nowMs(),
      addresses: {},
      end: null,
    };
    const gone = Promise.withResolvers<void>();
    const run: Run = { spec, behaviour, seen, cancels: [], gone, stopping: false };
    this.#runs.set(spec.key, run);
    this.#events.send(spec.key);
    const refused = {
      by: 'refused',
      exitCode: null,
      signal: null,
      message: 'no such image',
    } as const;
    const beginsMs = this.#random.between(5, this.#calm ? 200 : 3_000);
    this.#later(run, beginsMs, () => {
      if (behaviour === 'refused') this.#end(run, refused);
      else this.#run(run);
    });
  }

  #run(run: Run): void {
    const random = this.#random;
    this.#addresses += 1;
    const host = `10.${this.#addresses >> 16}.${(this.#addresses >> 8) & 255}.${this.#addresses & 255}`;
    const addresses = run.spec.networks.map(
      ({ name, port }) => [name, { host, port, listening: false }] as const,
    );
    this.#see(run, {
      phase: 'running',
      startedAtMs: this.#nowMs(),
      addresses: Object.fromEntries(addresses),
    });
    const { behaviour } = run;
    if (behaviour === 'job' || behaviour === 'crash') {
      const exitCode = behaviour === 'job' ? 0 : 1;
      const how = { by: 'itself', exitCode, signal: null, message: 'last words' } as const;
      this.#later(run, random.between(50, 2_000), () => this.#end(run, how));
    }
    if (behaviour === 'mute') return;
    for (const { name } of run.spec.networks) {
      this.#later(run, random.between(5, 600), () => {
        const address = run.seen.addresses[name];
        if (!address) return;
        const listening = { ...address, listening: true };
        this.#listened.set(`${run.spec.key} ${run.spec.run} ${name}`, addressOf(address));
        this.#see(run, { addresses: { ...run.seen.addresses, [name]: listening } });
      });
    }
  }

  #end(run: Run, how: Omit<RunEnd, 'endedAtMs'>): void {
    for (const cancel of run.cancels) cancel();
    const silent = Object.entries(run.seen.addresses).map(
      ([name, address]) => [name, { ...address, listening: false }] as const,
    );
    const end = { ...how, endedAtMs: this.#nowMs() };
    this.#see(run, { phase: 'exited', end, addresses: Object.fromEntries(silent) });
    run.gone.resolve();
  }

  #see(run: Run, change: Partial<Observed>): void {
    run.seen = { ...run.seen, ...change };
    this.#timeline.note(`${run.spec.key} run ${run.spec.run} ${run.seen.phase}`);
    this.#events.send(run.spec.key);
  }

  #later(run: Run, delayMs: number, then: () => void): void {
    run.cancels.push(this.#timeline.after(delayMs, then));
  }

  #nowMs(): number {
    return Math.floor(Date.UTC(2026, 0, 1) + this.#timeline.elapsedMs);
  }
}

const lives = (seen: Observed): boolean => seen.end === null;

const isOf = ({ spec }: Run, seen: Observed | undefined): boolean =>
  seen !== undefined && spec.run === seen.run && spec.podCreatedAtMs === seen.podCreatedAtMs;
