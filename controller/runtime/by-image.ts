import { EventEmitter } from 'node:events';
import { builtinImages, imageName } from '#contracts/image.ts';
import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import type { Observed, RunSpec, Runtime } from './runtime.ts';
import { RunInProgress } from './runtime.ts';

/**
 * Runs built-in images as processes of this machine and all others as containers. A pod whose image
 * changes from one to the other between two runs is known to both; its newest run counts.
 */
export function runtimeByImage(processes: Runtime, containers: Runtime | undefined): Runtime {
  return containers ? new RuntimeByImage(processes, containers) : processes;
}

const builtin = new Set<string>(Object.values(builtinImages));

class RuntimeByImage implements Runtime {
  readonly #processes: Runtime;
  readonly #containers: Runtime;
  readonly #starts = new EventEmitter().setMaxListeners(0);

  constructor(processes: Runtime, containers: Runtime) {
    this.#processes = processes;
    this.#containers = containers;
  }

  async start(spec: RunSpec): Promise<void> {
    const isBuiltin = builtin.has(imageName(spec.image));
    const [chosen, other] = isBuiltin
      ? [this.#processes, this.#containers]
      : [this.#containers, this.#processes];
    const elsewhere = await other.observe(spec.key);
    if (elsewhere?.end === null)
      throw new RunInProgress(`run ${elsewhere.run} of ${spec.key} is alive`);
    await chosen.start(spec);
    this.#starts.emit(spec.key, chosen);
  }

  async observe(key: string): Promise<Observed | undefined> {
    return (await this.#newest(key))?.seen;
  }

  async list(): Promise<readonly string[]> {
    // What is not told is unknown, never gone: who wants to know asks for each.
    const told = await Promise.allSettled([this.#processes.list(), this.#containers.list()]);
    return [...new Set(told.flatMap((each) => (each.status === 'fulfilled' ? each.value : [])))];
  }

  async stop(key: string, graceMs: number): Promise<void> {
    await Promise.all([this.#processes.stop(key, graceMs), this.#containers.stop(key, graceMs)]);
  }

  async remove(key: string): Promise<void> {
    await Promise.all([this.#processes.remove(key), this.#containers.remove(key)]);
  }

  async logs(key: string, window?: LogWindow): Promise<string> {
    return (await this.#ownerOf(key)).logs(key, window);
  }

  /** Goes over to the other runtime, from the beginning of what that has, when a run starts there. */
  async *followLogs(key: string, start: LogStart, signal: AbortSignal): AsyncGenerator<LogPiece> {
    let from = start;
    let owner = await this.#ownerOf(key);
    for (;;) {
      const moved = new AbortController();
      let next = owner;
      const started = (runtime: Runtime): void => {
        next = runtime;
        if (runtime !== owner) moved.abort();
      };
      this.#starts.on(key, started);
      try {
        yield* owner.followLogs(key, from, AbortSignal.any([signal, moved.signal]));
      } finally {
        this.#starts.off(key, started);
      }
      if (signal.aborted || !moved.signal.aborted) return;
      from = {};
      owner = next;
    }
  }

  events(signal: AbortSignal): AsyncIterable<string> {
    return merged([this.#processes.events(signal), this.#containers.events(signal)]);
  }

  async stopAll(deadlineMs: number): Promise<void> {
    const stops = [this.#processes.stopAll(deadlineMs), this.#containers.stopAll(deadlineMs)];
    // One that fails must not cut the other short.
    const failed = (await Promise.allSettled(stops)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  close(): void {
    this.#processes.close();
    this.#containers.close();
  }

  async #ownerOf(key: string): Promise<Runtime> {
    return (await this.#newest(key))?.runtime ?? this.#processes;
  }

  async #newest(key: string): Promise<{ runtime: Runtime; seen: Observed } | undefined> {
    const looks = await Promise.allSettled(
      [this.#processes, this.#containers].map(async (runtime) => {
        const seen = await runtime.observe(key);
        return seen && { runtime, seen };
      }),
    );
    const found = looks.flatMap((each) => (each.status === 'fulfilled' ? (each.value ?? []) : []));
    const [newest] = found.toSorted((a, b) => (isNewer(a.seen, b.seen) ? -1 : 1));
    const failed = looks.find(({ status }) => status === 'rejected');
    // What lives is seen to although the other runtime is away; else that might know of a newer run.
    if (failed?.status === 'rejected' && newest?.seen.end !== null) throw failed.reason;
    return newest;
  }
}

/** What lives comes first: it has to be dealt with whatever its number is. */
function isNewer(a: Observed, b: Observed): boolean {
  if ((a.end === null) !== (b.end === null)) return a.end === null;
  if (a.podCreatedAtMs !== b.podCreatedAtMs) return a.podCreatedAtMs > b.podCreatedAtMs;
  return a.run > b.run;
}

/** What any of the sources yields, as it comes; an error of one ends all. */
async function* merged(sources: readonly AsyncIterable<string>[]): AsyncGenerator<string> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const waiting = new Map(iterators.map((each) => [each, nextOf(each)]));
  try {
    while (waiting.size > 0) {
      const { iterator, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(iterator);
        continue;
      }
      waiting.set(iterator, nextOf(iterator));
      yield result.value;
    }
  } finally {
    for (const iterator of waiting.keys()) void iterator.return?.().catch(() => undefined);
  }
}

async function nextOf(iterator: AsyncIterator<string>) {
  return { iterator, result: await iterator.next() };
}
