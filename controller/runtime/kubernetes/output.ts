import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import { LogFiles } from '../output/log-files.ts';
import { takeSnapshot } from '../output/snapshot.ts';
import type { KubernetesApi } from './api.ts';
import { LineTimes } from './line-times.ts';
import type { Pod } from './pod-state.ts';

// Lines that explain a failure; more belongs into the log.
const tailBytesMax = 2_000;
const tailLinesMax = 10;
/** A node that says nothing for so long has no more to say, or does not answer. */
const silenceMs = 5_000;

/** Of `2026-01-01T00:00:00`. */
const secondLength = 19;

const zPlace = z.object({ uid: z.string(), at: z.string(), lines: z.int(), bytes: z.int() });

/**
 * The output of a pod, copied from the API server to files: when somebody asks, while somebody
 * follows, and when the run ends. Nothing is copied for nobody, as there may be thousands of pods.
 */
export class PodOutput {
  readonly #api: KubernetesApi;
  readonly #folder: string;
  readonly #clock: Clock;
  #patience: Patience | undefined;
  readonly #followers = new Set<AbortSignal>();
  #pod: Pod | undefined;
  #following: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #copying: Promise<void> = Promise.resolve();

  constructor(api: KubernetesApi, folder: string, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
    this.#folder = folder;
  }

  /** The Pod whose program has begun, and which is copied from here on. */
  begun(pod: Pod): void {
    const isNew = this.#pod?.metadata.uid !== pod.metadata.uid;
    this.#pod = pod;
    if (isNew && this.#followers.size > 0) this.#follow(pod);
  }

  /** The Pod is gone. */
  gone(): void {
    this.#pod = undefined;
  }

  /** Copies continuously until `signal` aborts, this run and those to come. */
  follow(signal: AbortSignal): void {
    this.#followers.add(signal);
    const leave = (): void => {
      this.#followers.delete(signal);
      if (this.#followers.size === 0) this.#following?.stop.abort();
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    else if (this.#pod && !this.#following) this.#follow(this.#pod);
  }

  /** Copies what there is by now. */
  async update(): Promise<void> {
    const pod = this.#pod;
    if (!pod || this.#following) return;
    await this.#copy(pod, false, new AbortController());
  }

  /** The program has ended: copies the rest, as far as it can be had. */
  async finish(): Promise<void> {
    const following = this.#following;
    if (following) {
      // The server ends the stream after the last line.
      this.#patience?.hurry();
      await following.done;
    }
    await this.update();
  }

  /** The newest lines after a position: '' when there are none, or when they cannot be read. */
  async lastLines(start: number): Promise<string> {
    try {
      await using kept = await takeSnapshot(this.#folder);
      const lines = await kept.startOf({ tail: tailLinesMax });
      const from = Math.max(lines, start, kept.end - tailBytesMax);
      return (await kept.read(from, kept.end)).toString().trimEnd();
    } catch {
      return '';
    }
  }

  async end(): Promise<number> {
    await using kept = await takeSnapshot(this.#folder);
    return kept.end;
  }

  close(): void {
    this.#following?.stop.abort();
  }

  #follow(pod: Pod): void {
    const stop = new AbortController();
    const done = this.#copy(pod, true, stop).finally(() => {
      if (this.#following?.stop === stop) this.#following = undefined;
    });
    this.#following = { stop, done };
  }

  /** One at a time, because all write to the same files. Errors end the copy: the next goes on. */
  #copy(pod: Pod, follow: boolean, stop: AbortController): Promise<void> {
    const next = this.#copying.then(() => this.#copyNow(pod, follow, stop));
    this.#copying = next.catch(() => undefined);
    return this.#copying;
  }

  async #copyNow(pod: Pod, follow: boolean, stop: AbortController): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const place = this.#readPlace(uid);
    const lines = new LineTimes(place);
    const query = {
      timestamps: 'true',
      ...(follow ? { follow: 'true' } : {}),
      ...(place ? { sinceTime: place.at } : {}),
    };
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/log`;
    using patience = new Patience(this.#clock, stop);
    this.#patience = patience;
    if (!follow) patience.hurry();
    const answer = await this.#api.open({ method: 'GET', path, query }, stop.signal);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    let writtenMs = 0;
    const files = new LogFiles(this.#folder, () => writtenMs);
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        patience.heard();
        for (const piece of bySecond(lines.take(chunk))) {
          writtenMs = piece.atMs;
          files.append(piece.bytes);
        }
        writeFileSync(this.#placeFile(), JSON.stringify({ uid, ...lines.place }), { mode: 0o600 });
      }
    } finally {
      files.close();
    }
  }

  #placeFile(): string {
    return join(this.#folder, 'copied.json');
  }

  #readPlace(uid: string): z.infer<typeof zPlace> | undefined {
    try {
      const place = zPlace.parse(JSON.parse(readFileSync(this.#placeFile(), 'utf8')));
      return place.uid === uid ? place : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Lines of one second together: so many writes are enough, and files note no finer times. */
function* bySecond(
  pieces: Iterable<{ readonly at: string; readonly bytes: Buffer }>,
): Generator<{ readonly atMs: number; readonly bytes: Buffer }> {
  let second = '';
  let parts: Buffer[] = [];
  for (const { at, bytes } of pieces) {
    const now = at.slice(0, secondLength);
    if (now !== second && parts.length > 0) {
      yield { atMs: Date.parse(`${second}Z`), bytes: Buffer.concat(parts) };
      parts = [];
    }
    second = now;
    parts.push(bytes);
  }
  if (parts.length > 0) yield { atMs: Date.parse(`${second}Z`), bytes: Buffer.concat(parts) };
}

/** Stops a copy that hears nothing more, once there is no reason to wait. */
class Patience implements Disposable {
  readonly #clock: Clock;
  readonly #stop: AbortController;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, stop: AbortController) {
    this.#clock = clock;
    this.#stop = stop;
  }

  hurry(): void {
    this.#cancel?.();
    this.#cancel = this.#clock.after(silenceMs, () => this.#stop.abort());
  }

  heard(): void {
    if (this.#cancel) this.hurry();
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }
}
