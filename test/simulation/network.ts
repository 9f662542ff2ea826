import type { Life } from './life.ts';
import type { SeededRandom } from './random.ts';
import type { Timeline } from './timeline.ts';

/** What programs reach over the network. */
export type Service = 'store' | 'bus' | 'runtime';
export const services: readonly Service[] = ['store', 'bus', 'runtime'];

/** How badly messages fare while faults are on; shares of all messages. */
const noise = { lost: 0.01, repeated: 0.02, late: 0.04 } as const;
const usualMs = { least: 0.1, most: 4 } as const;
const lateMs = { least: 20, most: 2_000 } as const;
/** Few are held for longer than any deadline or lease, as by a connection that was about to break. */
const heldShare = 0.05;
const heldMs = { least: 2_000, most: 25_000 } as const;
const usualDeadlineMs = 3_000;
const refusedMs = 5;

export interface Request<Answer> {
  /** What the service does when it is asked. */
  perform(): Promise<Answer>;
  /** What the caller gets thrown when no answer comes in time. */
  failure(mayHaveHappened: boolean): Error;
  /** How long it waits for one. */
  readonly deadlineMs?: number;
}

interface Cut {
  readonly program: string;
  readonly service: Service;
}

/** Every message between two programs: how long it takes, whether it arrives, and how often. */
export class Network {
  readonly #timeline: Timeline;
  readonly #random: SeededRandom;
  readonly #cuts = new Set<Cut>();
  readonly #breaks = new Set<{ readonly cut: Cut; readonly run: () => void }>();
  #traps: { readonly cut: Cut; readonly run: () => void }[] = [];
  #calm = false;

  constructor(timeline: Timeline, random: SeededRandom) {
    this.#timeline = timeline;
    this.#random = random;
  }

  /** From now on nothing is lost, repeated or very late. */
  heal(): void {
    this.#calm = true;
    this.#cuts.clear();
    this.#traps = [];
  }

  /** Nothing passes between them until the returned function is called. */
  cut(program: string, service: Service): () => void {
    const cut = { program, service };
    this.#cuts.add(cut);
    for (const each of this.#breaks)
      if (each.cut.program === program && each.cut.service === service) each.run();
    return () => this.#cuts.delete(cut);
  }

  /** Calls `run` when the connection between them breaks. The returned function ends that. */
  onBreak(life: Life, service: Service, run: () => void): () => void {
    const entry = { cut: { program: programOf(life), service }, run };
    this.#breaks.add(entry);
    return () => this.#breaks.delete(entry);
  }

  /** Calls `run` as soon as this program has asked this service for something: the worst moment. */
  whenNextAsked(program: string, service: Service, run: () => void): void {
    this.#traps.push({ cut: { program, service }, run });
  }

  /** A message without an answer: may be lost, late, repeated, and overtake others. */
  send(life: Life, service: Service, arrive: () => void): void {
    const times = !this.#calm && this.#random.chance(noise.repeated) ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      const delayMs = this.#delayMs(life, service);
      if (delayMs !== undefined) this.#timeline.after(delayMs, arrive);
    }
  }

  /** Asks a service. A request that the caller gave up may still arrive. */
  call<Answer>(life: Life, service: Service, request: Request<Answer>): Promise<Answer> {
    const { deadlineMs = usualDeadlineMs } = request;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const thereMs = this.#delayMs(life, service, deadlineMs);
    let settled = false;
    const settle = (how: () => void): void =>
      life.enter(() => {
        if (settled) return;
        settled = true;
        cancelDeadline();
        how();
      });
    // A connection that is refused says so at once; a silent one takes until the deadline.
    const quick = thereMs === undefined && this.#random.chance(0.5);
    const cancelDeadline = this.#timeline.after(quick ? refusedMs : deadlineMs, () =>
      settle(() => reject(request.failure(thereMs !== undefined))),
    );
    const answer = (how: () => void): void => {
      const backMs = this.#delayMs(life, service);
      if (backMs !== undefined) this.#timeline.after(backMs, () => settle(how));
    };
    if (thereMs !== undefined)
      this.#timeline.after(thereMs, () => {
        request.perform().then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error)),
        );
      });
    this.#spring(programOf(life), service);
    return promise;
  }

  /** Undefined: it is lost. */
  #delayMs(life: Life, service: Service, deadlineMs = Infinity): number | undefined {
    const random = this.#random;
    if (!this.#calm) {
      if (this.#isCut(programOf(life), service)) return undefined;
      if (random.chance(noise.lost)) return undefined;
      if (random.chance(noise.late)) {
        const { least, most } = random.chance(heldShare) ? heldMs : lateMs;
        // Where pods run nobody begins with what its caller has given up.
        return Math.min(random.between(least, most), service === 'runtime' ? deadlineMs : Infinity);
      }
    }
    return random.between(usualMs.least, usualMs.most);
  }

  #spring(program: string, service: Service): void {
    if (this.#traps.length === 0) return;
    const sprung = this.#traps.filter(
      ({ cut }) => cut.program === program && cut.service === service,
    );
    this.#traps = this.#traps.filter((trap) => !sprung.includes(trap));
    for (const { run } of sprung) run();
  }

  #isCut(program: string, service: Service): boolean {
    for (const cut of this.#cuts)
      if (cut.program === program && cut.service === service) return true;
    return false;
  }
}

/** Cuts are between machines, whichever life of the program is there: `gateway-1/3` is on `gateway-1`. */
const programOf = (life: Life): string => life.name.split('/')[0] ?? life.name;
