import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import { dial } from '../dial.ts';
import { keepLooking } from '../looks.ts';
import type { NetworkAddress, Observed, RunEnd, RunNote } from '../runtime.ts';
import { notesMax } from '../runtime.ts';
import { disruptionOf } from './disruption.ts';
import { probedNetwork } from './manifests.ts';
import type { RunAnnotation } from './names.ts';
import type { PodOutput } from './output.ts';
import type { Pod, PodState } from './pod-state.ts';
import { stateOf } from './pod-state.ts';
import type { Record } from './records.ts';
import { writeRecord } from '../records.ts';

interface Terms {
  readonly folder: string;
  readonly output: PodOutput;
  readonly clock: Clock;
  readonly log: Log;
  readonly changed: () => void;
}

const dialMs = 1_000;

/** Of a run that begins now. */
export const newRecord = (of: RunAnnotation, startedAtMs: number, outputStart: number): Record => ({
  ...of,
  startedAtMs,
  outputStart,
  stopping: false,
  end: null,
});

/** One run: what its Pod shows, and what is left of it when the Pod is gone. */
export class PodRun {
  readonly #terms: Terms;
  readonly #ended = Promise.withResolvers<void>();
  readonly #over = new AbortController();
  /** All of its output is kept that will be. */
  readonly #gone = new AbortController();
  readonly #listening = new Set<string>();
  readonly #notes = new Map<string, RunNote>();
  #record: Record;
  #pod: Pod | undefined;
  #state: PodState | undefined;
  #finishing = false;
  #looking = false;

  constructor(record: Record, terms: Terms) {
    this.#record = record;
    this.#terms = terms;
    if (record.end) this.#ended.resolve();
  }

  get record(): Record {
    return this.#record;
  }

  get output(): PodOutput {
    return this.#terms.output;
  }

  get alive(): boolean {
    return this.#record.end === null;
  }

  /** The Pod, as it was seen last; undefined when there is none. */
  get pod(): Pod | undefined {
    return this.#pod;
  }

  /** Resolves when it is known how the run ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  is({ run, podCreatedAtMs }: Pick<Record, 'run' | 'podCreatedAtMs'>): boolean {
    return this.#record.run === run && this.#record.podCreatedAtMs === podCreatedAtMs;
  }

  /** What a watch tells; older news than what is known changes nothing. */
  see(pod: Pod): void {
    this.#pod = pod;
    if (!this.alive || this.#finishing) return;
    const { memoryLimitMi } = this.#record;
    const state = stateOf(pod, { memoryLimitMi, nowMs: this.#terms.clock.nowMs() });
    this.#state = state;
    if (state.phase !== 'starting') this.output.begun(pod);
    if (state.phase === 'running') this.#lookAtOthers();
    // Its output goes with it, whoever deletes it.
    if (pod.metadata.deletionTimestamp) this.output.follow(this.#gone.signal);
    // Of what is being deleted more may come: its end is told when it is gone.
    if (state.end && !pod.metadata.deletionTimestamp) void this.finish(state.end);
    else this.#terms.changed();
  }

  /** The Pod is gone. */
  async vanished(): Promise<void> {
    const pod = this.#pod;
    this.output.gone();
    const known = this.#state?.end;
    const by = this.#record.stopping ? 'stopped' : 'lost';
    const why = (pod && disruptionOf(pod)) ?? 'its Pod was deleted, and not by Podgate';
    const exitCode = known?.exitCode ?? null;
    const endedAtMs = known?.endedAtMs ?? this.#terms.clock.nowMs();
    await this.finish({
      by,
      exitCode,
      signal: null,
      message: by === 'lost' ? why : '',
      endedAtMs,
    });
    this.#pod = undefined;
  }

  note(id: string, note: RunNote): void {
    this.#notes.delete(id);
    this.#notes.set(id, note);
    const [oldest] = this.#notes.keys();
    if (this.#notes.size > notesMax && oldest !== undefined) this.#notes.delete(oldest);
    this.#terms.changed();
  }

  /** Whoever asks for the end says so first, so that it is known whoever sees it. */
  stopping(): void {
    this.#write({ ...this.#record, stopping: true });
  }

  /** Keeps the last of its output, then says how it ended. */
  async finish(end: RunEnd): Promise<void> {
    if (!this.alive || this.#finishing) return this.ended;
    this.#finishing = true;
    this.#over.abort();
    await this.output.finish().catch((error: unknown) => {
      const key = this.#record.key;
      this.#terms.log.warn({ key, error: String(error) }, 'output of a pod could not be kept');
    });
    this.#gone.abort();
    const { outputStart } = this.#record;
    // Of what ended by itself its last lines explain more, but for a limit that was met.
    const program = end.by === 'itself' && end.exitCode !== null;
    const lines = program || end.message === '' ? await this.output.lastLines(outputStart) : '';
    const isOom = end.message.includes('OOMKilled');
    const message = isOom && lines ? `${end.message}\n${lines}` : lines || end.message;
    this.#write({ ...this.#record, end: { ...end, message } });
    this.#ended.resolve();
    this.#terms.changed();
  }

  observe(): Observed {
    const { run, podCreatedAtMs, networks, end, startedAtMs } = this.#record;
    const state = this.#state;
    const phase = end
      ? 'exited'
      : state?.phase === 'running' || this.#finishing
        ? 'running'
        : 'starting';
    const message = end ? undefined : state?.message;
    const notes = [...this.#notes.values()].toSorted((a, b) => a.atMs - b.atMs);
    const host = this.#pod?.status?.podIP;
    const addresses = networks.flatMap(({ name, port }): [string, NetworkAddress][] => {
      if (!host) return [];
      return [[name, { host, port, listening: phase === 'running' && this.#listens(name) }]];
    });
    return {
      run,
      podCreatedAtMs,
      phase,
      startedAtMs: state?.startedAtMs ?? startedAtMs,
      addresses: Object.fromEntries(addresses),
      end,
      ...(message ? { message } : {}),
      notes,
    };
  }

  /** Watches no longer; the run goes on. */
  close(): void {
    this.#over.abort();
    this.#gone.abort();
    this.output.close();
  }

  #listens(network: string): boolean {
    if (this.#finishing) return false;
    const probed = probedNetwork(this.#record.networks)?.name;
    return network === probed ? this.#state?.ready === true : this.#listening.has(network);
  }

  /** A Pod is ready as a whole: whether networks beside the probed one listen is tried from here. */
  #lookAtOthers(): void {
    const { networks } = this.#record;
    const probed = probedNetwork(networks)?.name;
    const others = networks.filter(({ name }) => name !== probed);
    if (this.#looking || others.length === 0) return;
    this.#looking = true;
    void keepLooking(this.#terms.clock, this.#over.signal, async () => {
      const host = this.#pod?.status?.podIP;
      if (!host) return false;
      for (const { name, port } of others) {
        const answer = await dial({ host, port, timeoutMs: dialMs, holdMs: 0 });
        const before = this.#listening.has(name);
        if (answer === 'accepted') this.#listening.add(name);
        else this.#listening.delete(name);
        if (before !== this.#listening.has(name)) this.#terms.changed();
      }
      return others.every(({ name }) => this.#listening.has(name));
    });
  }

  #write(record: Record): void {
    this.#record = record;
    writeRecord(this.#terms.folder, record);
  }
}
