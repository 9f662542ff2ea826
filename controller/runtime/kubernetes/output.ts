import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import { LogFiles } from '../output/log-files.ts';
import { takeSnapshot } from '../output/snapshot.ts';
import type { KubernetesApi } from './api.ts';
import { mayPass } from './api.ts';
import { LineTimes, sinceOf } from './line-times.ts';
import type { Pod } from './pod-state.ts';
import { behindMs } from './pod-state.ts';

// Lines that explain a failure; more belongs into the log.
const tailBytesMax = 2_000;
const tailLinesMax = 10;
/** A node that says nothing for so long has no more to say, or does not answer. */
const silenceMs = 5_000;

/**
 * Of what was not copied yet, so many lines and no more: nodes may have kept more than we do. Of one
 * answer, with its times, several times what is kept.
 */
const usualBounds = { lines: 500_000, answerBytes: 64_000_000 } as const;
/** An answer that was cut lacks what is newest: so many times fewer lines are asked for then. */
const fewer = 4;
const answersMax = 8;
/** Of the last look; the API server may have a bad moment just then. */
const attemptsMax = 3;
/** Between two tries, and longer each time while they bring nothing. */
const againMs = { first: 1_000, max: 30_000 } as const;

/** Of `2026-01-01T00:00:00`. */
const secondLength = 19;

const zPlace = z.object({
  uid: z.string(),
  at: z.string(),
  lines: z.int(),
  bytes: z.int(),
  newest: z.string(),
});

interface Bounds {
  readonly lines: number;
  readonly answerBytes: number;
}
type Query = Readonly<Record<string, string>>;

/** A copy that goes on while the program writes. */
interface Following {
  readonly stop: AbortController;
  /** The program has ended: what comes now is the rest. */
  readonly over: AbortController;
  readonly done: Promise<void>;
}

/**
 * The output of a pod, copied from the API server to files: when somebody asks, while somebody
 * follows, and when the run ends. Nothing is copied for nobody, as there may be thousands of pods.
 */
export class PodOutput {
  readonly #api: KubernetesApi;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #bounds: Bounds;
  #patience: Patience | undefined;
  readonly #followers = new Set<AbortSignal>();
  #pod: Pod | undefined;
  #following: Following | undefined;
  #copying: Promise<void> = Promise.resolve();

  constructor(api: KubernetesApi, folder: string, clock: Clock, bounds: Bounds = usualBounds) {
    this.#api = api;
    this.#bounds = bounds;
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

  /** Copies what there is by now, or less if the API server does not give it. */
  async update(): Promise<void> {
    const pod = this.#pod;
    if (!pod || this.#following) return;
    await this.#copyRest(pod).catch(() => undefined);
  }

  /**
   * The program has ended: copies the rest, unless the Pod is gone and its output with it. Throws what
   * keeps it from that.
   */
  async finish(): Promise<void> {
    const following = this.#following;
    if (following) {
      // The server ends the stream after the last line.
      this.#patience?.hurry();
      following.over.abort();
      await following.done;
    }
    for (let attempt = 1; this.#pod; attempt += 1) {
      try {
        return await this.#copyRest(this.#pod);
      } catch (error) {
        if (attempt === attemptsMax || isSilence(error) || !mayPass(error)) throw error;
        await this.#clock.sleep(againMs.first);
      }
    }
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

  close(): void {
    this.#following?.stop.abort();
  }

  #follow(pod: Pod): void {
    const [stop, over] = [new AbortController(), new AbortController()];
    const done = this.#followOn(pod, stop, over.signal).finally(() => {
      if (this.#following?.stop === stop) this.#following = undefined;
    });
    this.#following = { stop, over, done };
  }

  /** Goes on when a stream was cut on its way, as balancers and API servers do that start anew. */
  async #followOn(pod: Pod, stop: AbortController, over: AbortSignal): Promise<void> {
    const enough = AbortSignal.any([stop.signal, over]);
    for (let pauseMs: number = againMs.first; !enough.aborted;) {
      const copy = new AbortController();
      const end = (): void => copy.abort();
      stop.signal.addEventListener('abort', end);
      const beganMs = this.#clock.monotonicMs();
      await this.#copy(pod, { follow: 'true' }, copy).catch(() => undefined);
      stop.signal.removeEventListener('abort', end);
      if (this.#clock.monotonicMs() - beganMs > silenceMs) pauseMs = againMs.first;
      await this.#clock.sleep(pauseMs, enough).catch(() => undefined);
      pauseMs = Math.min(againMs.max, pauseMs * 2);
    }
  }

  async #copyRest(pod: Pod): Promise<void> {
    let { lines } = this.#bounds;
    const { answerBytes } = this.#bounds;
    for (let answers = 0; answers < answersMax; answers += 1) {
      const bounds = { tailLines: String(lines), limitBytes: String(answerBytes) };
      if ((await this.#copy(pod, bounds, new AbortController())) < answerBytes) return;
      lines = Math.ceil(lines / fewer);
    }
  }

  /** One at a time, because all write to the same files; resolves with the bytes of the answer. */
  #copy(pod: Pod, how: Query, stop: AbortController): Promise<number> {
    const next = this.#copying.then(() => this.#copyNow(pod, how, stop));
    this.#copying = next.then(
      () => undefined,
      () => undefined,
    );
    return next;
  }

  async #copyNow(pod: Pod, how: Query, stop: AbortController): Promise<number> {
    const { name, namespace, uid } = pod.metadata;
    const place = this.#readPlace(uid);
    const lines = new LineTimes(place);
    const query = {
      timestamps: 'true',
      tailLines: String(this.#bounds.lines),
      ...how,
      ...(place ? { sinceTime: sinceOf(place) } : {}),
    };
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/log`;
    using patience = new Patience(this.#clock, stop);
    this.#patience = patience;
    if (!('follow' in how)) patience.hurry();
    const answer = await this.#api.open({ method: 'GET', path, query }, stop.signal);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    let [writtenMs, received] = [0, 0];
    const behind = behindMs(pod);
    const files = new LogFiles(this.#folder, () => writtenMs);
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        patience.heard();
        received += chunk.length;
        for (const piece of bySecond(lines.take(chunk))) {
          writtenMs = piece.atMs + behind;
          files.append(piece.bytes);
        }
        if (lines.place.at !== '')
          writeFileSync(this.#placeFile(), JSON.stringify({ uid, ...lines.place }), {
            mode: 0o600,
          });
      }
      return received;
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

/** A node that is silent stays so. */
const isSilence = (error: unknown): boolean =>
  error instanceof Error && error.name === 'AbortError';

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
