import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import { keepLooking } from '../looks.ts';
import { writeRecord } from '../records.ts';
import type { Observed, RunNote, RunSpec } from '../runtime.ts';
import { notesMax, RuntimeUnavailable } from '../runtime.ts';
import type { ContainerState } from './container-state.ts';
import type { Engine } from './engine.ts';
import { EngineRefusal } from './engine.ts';
import type { Launcher } from './launcher.ts';
import { Listeners } from './listeners.ts';
import type { Record } from './records.ts';
import type { Reason } from './run-end.ts';
import { endOf, endWithout, failedLaunch } from './run-end.ts';
import { RunOutput } from './run-output.ts';

/** From SIGKILL to the end of a container; a machine may be busy, an engine may hang. */
const killedMs = 30_000;
/** A lost event costs at most this long while somebody waits for the end. */
const lookAtEndMs = 500;
const unavailableMs = { first: 200, max: 5_000 } as const;
/** Figures change all the time; nobody reads faster. */
const progressMs = 1_000;

export interface RunPorts {
  readonly engine: Engine;
  readonly kind: 'Docker' | 'Podman';
  readonly launcher: Launcher;
  readonly clock: Clock;
  readonly log: Log;
  readonly changed: () => void;
}

/** One run of one pod in a container: brings it up, watches it, ends it. */
export class ContainerRun {
  readonly #folder: string;
  readonly #ports: RunPorts;
  readonly #listeners: Listeners;
  readonly #output: RunOutput;
  /** Nobody watches any more; the container goes on. */
  readonly #closed = new AbortController();
  readonly #stopAsked = new AbortController();
  /** It has ended, and its networks with it. */
  readonly #over = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #record: Record;
  #message = 'The container is being made.';
  #toldMs = -Infinity;
  #launching: Promise<void> = Promise.resolve();
  #finishing: Promise<void> | undefined;

  constructor(folder: string, record: Record, ports: RunPorts) {
    this.#folder = folder;
    this.#record = record;
    this.#ports = ports;
    this.#listeners = new Listeners(record.networks);
    this.#output = new RunOutput(folder);
    if (record.end) this.#ended.resolve();
  }

  get run(): number {
    return this.#record.run;
  }

  get alive(): boolean {
    return this.#record.end === null;
  }

  /** Brings the run up in the background. */
  launch(spec: RunSpec): void {
    this.#save();
    this.#launching = this.#launch(spec);
  }

  /** Takes over a container that an earlier controller began; knows afterwards how it is. */
  async adopt(): Promise<void> {
    if (!this.alive) return;
    // First, so that the last words of one that has ended meanwhile are there.
    this.#watch();
    await this.refresh();
    if (this.alive) await this.#listeners.look();
  }

  observe(): Observed {
    const { run, podCreatedAtMs, startedAtMs, began, notes, end } = this.#record;
    const phase = end ? 'exited' : began ? 'running' : 'starting';
    const addresses = phase === 'starting' ? {} : this.#listeners.addresses();
    const all = Object.entries(addresses).map(([name, address]) => [
      name,
      end ? { ...address, listening: false } : address,
    ]);
    const message = end ? undefined : this.#waitsFor();
    return {
      run,
      podCreatedAtMs,
      phase,
      startedAtMs,
      addresses: Object.fromEntries(all),
      end,
      notes,
      ...(message !== undefined && { message }),
    };
  }

  /** Looks at the container once. */
  async refresh(): Promise<void> {
    const { container } = this.#record;
    if (!this.alive || container === null || this.#finishing) return this.#finishing;
    const state = await this.#ports.launcher.look(container);
    if (state === 'gone') return this.#finish({ by: 'lost', message: 'its container is gone' });
    if (state.phase === 'created') return;
    this.#begun(state);
    if (state.phase === 'ended') await this.#finish(state);
  }

  async stop(graceMs: number): Promise<void> {
    if (!this.alive || this.#closed.signal.aborted) return;
    this.#record = { ...this.#record, stopping: true };
    this.#save();
    this.#stopAsked.abort();
    await this.#launching;
    if (!this.alive) return;
    await this.#signal();
    if (await this.#endsWithin(graceMs)) return;
    await this.#signal('SIGKILL');
    if (await this.#endsWithin(killedMs)) return;
    throw new RuntimeUnavailable('the container engine does not end the container');
  }

  close(): void {
    this.#closed.abort();
    this.#stopAsked.abort();
  }

  async #launch(spec: RunSpec): Promise<void> {
    const { launcher, clock } = this.#ports;
    const signal = this.#stopAsked.signal;
    const terms = {
      signal,
      progress: (text: string): void => this.#say(text),
      note: (text: string): void => this.#note(text),
      made: (container: string): void => this.#update({ container }),
    };
    for (
      let delayMs: number = unavailableMs.first;
      ;
      delayMs = Math.min(unavailableMs.max, 2 * delayMs)
    ) {
      try {
        await launcher.launch(spec, terms);
        return await this.#up();
      } catch (error) {
        if (signal.aborted) return this.#abandon();
        if (!(error instanceof RuntimeUnavailable)) return this.#finish(failedLaunch(error));
        this.#say(`${sentence(error.message)}; it is asked again.`);
        await clock.sleep(delayMs, signal).catch(() => undefined);
      }
    }
  }

  async #up(): Promise<void> {
    this.#update({ began: true, startedAtMs: this.#ports.clock.nowMs() });
    this.#watch();
    await this.refresh().catch(() => undefined);
    this.#ports.changed();
  }

  /** Somebody stopped it, or the controller ends, before the program began. */
  async #abandon(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const { container } = this.#record;
    // It may have begun in the last moment.
    const state =
      container === null ? 'gone' : await this.#ports.launcher.look(container).catch(() => 'gone');
    if (typeof state !== 'string' && state.phase === 'running') return this.#up();
    await this.#finish({ by: 'stopped', message: 'stopped before the program began' });
  }

  #watch(): void {
    const { engine, clock, kind } = this.#ports;
    const { signal } = this.#closed;
    const { container } = this.#record;
    if (container === null) return;
    const goesOn = (): boolean => this.alive && this.#finishing === undefined;
    this.#output.begin({ engine, clock, container, run: this.run, goesOn, signal }, kind);
    const over = AbortSignal.any([signal, this.#over.signal]);
    void keepLooking(clock, over, async () => {
      if ((await this.#listeners.look()) && this.alive) this.#ports.changed();
      return this.#listeners.all;
    });
  }

  #begun(state: ContainerState): void {
    const before = JSON.stringify(this.#listeners.addresses());
    this.#listeners.state = state;
    if (!this.#record.began || this.#record.startedAtMs !== state.startedAtMs)
      this.#update({ began: true, startedAtMs: state.startedAtMs });
    if (JSON.stringify(this.#listeners.addresses()) !== before) this.#ports.changed();
  }

  #waitsFor(): string | undefined {
    if (!this.#record.began) return this.#message;
    if (this.#unhealthy !== null)
      return `The health check of its image fails${this.#unhealthy && `: ${this.#unhealthy}`}.`;
    const silent = this.#listeners.silent();
    return (
      silent &&
      `The program runs but does not listen on port ${silent.port} yet. It has to listen on all ` +
        'addresses (0.0.0.0): 127.0.0.1 is reached from inside its container only.'
    );
  }

  get #unhealthy(): string | null {
    return this.#listeners.unhealthy;
  }

  async #signal(signal?: 'SIGKILL'): Promise<void> {
    const { container } = this.#record;
    if (container === null) return;
    try {
      await this.#ports.launcher.signal(container, signal);
    } catch (error) {
      // It has ended already, or it is gone.
      if (!(error instanceof EngineRefusal)) throw error;
    }
  }

  /** Once; who asks again waits for the first. */
  #finish(how: ContainerState | Reason): Promise<void> {
    this.#finishing ??= this.#end(how);
    return this.#finishing;
  }

  async #end(how: ContainerState | Reason): Promise<void> {
    const { clock, changed, launcher } = this.#ports;
    this.#over.abort();
    await this.#output.copied(clock);
    const end =
      'phase' in how
        ? endOf(how, this.#record, await this.#output.lastLines(this.#record.outputStart))
        : endWithout(how, this.#record, clock.nowMs());
    // Removed by somebody else meanwhile: nothing is left to write down.
    if (this.#closed.signal.aborted) return;
    this.#update({ end });
    this.#ended.resolve();
    changed();
    this.#closed.abort();
    if (this.#record.container !== null) await launcher.discard(this.#record.container);
    this.#output.discardOriginal(this.run);
  }

  async #endsWithin(limitMs: number): Promise<boolean> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + limitMs;
    // An event tells sooner, if none is lost.
    for (let leftMs = limitMs; this.alive && leftMs > 0; leftMs = untilMs - clock.monotonicMs()) {
      const waiting = new AbortController();
      const late = clock.sleep(Math.min(leftMs, lookAtEndMs), waiting.signal);
      await Promise.race([this.#ended.promise, late.catch(() => undefined)]);
      waiting.abort();
      await this.refresh().catch(() => undefined);
    }
    return !this.alive;
  }

  #say(text: string): void {
    if (this.#message === text) return;
    this.#message = text;
    const { clock, changed } = this.#ports;
    if (clock.monotonicMs() - this.#toldMs < progressMs) return;
    this.#toldMs = clock.monotonicMs();
    changed();
  }

  #note(text: string): void {
    const note: RunNote = { atMs: this.#ports.clock.nowMs(), text };
    this.#update({ notes: [...this.#record.notes, note].slice(-notesMax) });
  }

  #update(change: Partial<Record>): void {
    this.#record = { ...this.#record, ...change };
    this.#save();
  }

  #save(): void {
    // After the end somebody else may have taken over, or removed the pod.
    if (this.#closed.signal.aborted) return;
    try {
      writeRecord(this.#folder, this.#record);
    } catch (error) {
      // A full disk costs the next controller what it can learn from the container, never the pod.
      this.#ports.log.error({ error }, 'a run could not be noted');
    }
  }
}

const sentence = (clause: string): string => clause.charAt(0).toUpperCase() + clause.slice(1);
