import type { Route } from '#contracts/route.ts';
import type { ToWorker } from '../../gateway/messages.ts';
import { RouteTable } from '../../gateway/route-table.ts';
import type { Life } from './life.ts';
import { Life as WorkerLife } from './life.ts';
import { domain } from './pods.ts';
import type { SeededRandom } from './random.ts';
import type { Timeline } from './timeline.ts';

/** A pipe between parent and worker; a worker that is busy takes its time. */
const pipeMs = { least: 0.05, most: 3 } as const;
const busyMs = { least: 20, most: 600 } as const;
const busyShare = 0.03;

type Message = Extract<ToWorker, { kind: 'routes' | 'serve' }>;

interface WorkerHooks {
  /** These hosts were changed in its table. */
  applied(this: void, hosts: readonly string[]): void;
  /** The parent has heard something of it. */
  told(this: void): void;
}

/** A worker process with its own table, and what its parent knows of it. */
export class Worker {
  /** As the parent knows. */
  step = -1;
  ready = false;
  readonly #parent: Life;
  readonly #life: Life;
  readonly #timeline: Timeline;
  readonly #random: SeededRandom;
  readonly #hooks: WorkerHooks;
  readonly #table = new RouteTable(domain, { host: '127.0.0.1', port: 1 });
  /** Nothing overtakes on a pipe. */
  #thereMs = 0;
  #backMs = 0;

  constructor(parent: Life, timeline: Timeline, random: SeededRandom, hooks: WorkerHooks) {
    this.#parent = parent;
    this.#timeline = timeline;
    this.#random = random;
    this.#hooks = hooks;
    this.#life = new WorkerLife(`${parent.name}:worker`, timeline, 0, (error) => {
      throw error;
    });
  }

  get routes(): ReadonlyMap<string, Route> {
    return this.#table.routes;
  }

  send(message: ToWorker): void {
    if (message.kind !== 'routes' && message.kind !== 'serve') return;
    this.#thereMs = this.#arrivalMs(this.#thereMs);
    this.#timeline.after(this.#thereMs - this.#timeline.elapsedMs, () =>
      this.#life.enter(() => this.#take(message)),
    );
  }

  kill(): void {
    this.#life.kill();
  }

  pause(): void {
    this.#life.pause();
  }

  resume(): void {
    this.#life.resume();
  }

  #take(message: Message): void {
    if (message.kind === 'serve') {
      this.#answer(() => {
        this.ready = true;
      });
      return;
    }
    this.#table.apply(message);
    this.#hooks.applied([...message.drops, ...message.puts.map(({ host }) => host)]);
    const { step } = message;
    if (step === undefined) return;
    this.#table.complete();
    this.#answer(() => {
      this.step = step;
    });
  }

  #answer(note: () => void): void {
    this.#backMs = this.#arrivalMs(this.#backMs);
    this.#timeline.after(this.#backMs - this.#timeline.elapsedMs, () =>
      this.#parent.enter(() => {
        if (this.#life.isDead) return;
        note();
        this.#hooks.told();
      }),
    );
  }

  #arrivalMs(earliestMs: number): number {
    const { least, most } = this.#random.chance(busyShare) ? busyMs : pipeMs;
    return Math.max(earliestMs, this.#timeline.elapsedMs + this.#random.between(least, most));
  }
}
