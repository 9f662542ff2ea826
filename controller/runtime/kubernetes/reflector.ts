import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { KubernetesApi } from './api.ts';
import { ApiError, codeOf } from './api.ts';

/** What is told of a collection: all of it, then what changes. */
interface Listener {
  /** All there is now; what was told before and is not here is gone. */
  replaced(objects: readonly unknown[]): void;
  changed(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: unknown): void;
}

export interface Collection {
  /** Of the list, `/api/v1/pods`. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

interface Terms {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const pageSize = '500';
/** The server ends a watch by then, at the latest; spread, so that not all come back at once. */
const watchSeconds = 300;
/** Bookmarks come each minute: a watch that says nothing for longer is dead. */
const silenceMs = 90_000;
const backoffMs = { first: 100, max: 10_000 } as const;
/** A watch that held so long was no failure. */
const heldMs = 5_000;

const zList = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()).nullable(),
});
const zEvent = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.looseObject({
    code: z.int().optional(),
    reason: z.string().optional(),
    message: z.string().optional(),
    metadata: z.looseObject({ resourceVersion: z.string().optional() }).optional(),
  }),
});

/**
 * Follows a collection by list and watch, until `signal` aborts: goes on with bookmarks, lists anew
 * when its version has expired, and comes back with growing delays when the server does not answer.
 * The client library's informer asks for no bookmarks and does not back off.
 */
export class Reflector {
  readonly #terms: Terms;
  readonly #collection: Collection;
  readonly #listener: Listener;
  #version: string | undefined;
  #failures = 0;

  constructor(terms: Terms, collection: Collection, listener: Listener) {
    this.#terms = terms;
    this.#collection = collection;
    this.#listener = listener;
  }

  /** Lists once; throws what keeps it from that. Call it before `run`. */
  async list(): Promise<void> {
    const { api } = this.#terms;
    const { path, query } = this.#collection;
    const objects: unknown[] = [];
    let next: string | undefined;
    for (;;) {
      const page = { ...query, limit: pageSize, ...(next ? { continue: next } : {}) };
      try {
        const answer = await api.call({ method: 'GET', path, query: page });
        const { metadata, items } = zList.parse(answer);
        objects.push(...(items ?? []));
        next = metadata.continue;
        if (next) continue;
        this.#version = metadata.resourceVersion;
        return this.#listener.replaced(objects);
      } catch (error) {
        // The rest of the list has expired: from the beginning.
        if (codeOf(error) !== 410 || !next) throw error;
        objects.length = 0;
        next = undefined;
      }
    }
  }

  async run(): Promise<void> {
    const { clock, log, signal } = this.#terms;
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs();
      try {
        if (this.#version === undefined) await this.list();
        await this.#watch();
        this.#failures = 0;
        if (clock.monotonicMs() - beganMs < heldMs) this.#failures = 1;
      } catch (error) {
        if (signal.aborted) return;
        if (codeOf(error) === 410) this.#version = undefined;
        this.#failures += 1;
        const path = this.#collection.path;
        log.warn({ path, error: String(error) }, 'watching Kubernetes was interrupted');
      }
      if (this.#failures > 0) await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    const { clock, random, signal } = this.#terms;
    const delayMs = Math.min(backoffMs.max, backoffMs.first * 2 ** (this.#failures - 1));
    await clock.sleep(delayMs * (0.5 + random.fraction()), signal).catch(() => undefined);
  }

  async #watch(): Promise<void> {
    const { api, clock, random, signal } = this.#terms;
    const { path, query } = this.#collection;
    const silent = new AbortController();
    const silence = (): (() => void) =>
      clock.after(silenceMs, () => silent.abort(new Error(`no word for ${silenceMs / 1_000} s`)));
    let cancel = silence();
    try {
      const answer = await api.open(
        {
          method: 'GET',
          path,
          query: {
            ...query,
            watch: 'true',
            allowWatchBookmarks: 'true',
            resourceVersion: this.#version ?? '',
            timeoutSeconds: String(Math.round(watchSeconds * (0.5 + random.fraction() / 2))),
          },
        },
        AbortSignal.any([signal, silent.signal]),
      );
      for await (const line of linesOf(answer)) {
        cancel();
        cancel = silence();
        this.#take(JSON.parse(line));
      }
    } finally {
      cancel();
    }
  }

  #take(event: unknown): void {
    const { type, object } = zEvent.parse(event);
    if (type === 'ERROR')
      throw new ApiError(object.code ?? 500, object.reason ?? '', object.message ?? '');
    this.#version = object.metadata?.resourceVersion ?? this.#version;
    if (type !== 'BOOKMARK') this.#listener.changed(type, object);
  }
}

/** Each line of an answer as soon as it is whole. */
async function* linesOf(answer: IncomingMessage): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      const line = Buffer.concat([...begun, chunk.subarray(from, at)]).toString();
      begun = [];
      from = at + 1;
      if (line) yield line;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
}
