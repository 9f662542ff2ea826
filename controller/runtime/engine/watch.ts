import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Engine } from './engine.ts';
import { jsonLines } from './json-lines.ts';
import type { RunLabel } from './labels.ts';
import { ownFilter, readRunLabel } from './labels.ts';

/** An event that was lost costs at most this long. */
const resyncMs = 30_000;
const againMs = { first: 100, max: 5_000 } as const;

/** A container of ours. */
export interface Found {
  readonly id: string;
  readonly label: RunLabel;
  /** Its program was started, whatever became of it. */
  readonly begun: boolean;
}

export async function findContainers(engine: Engine, installation: string): Promise<Found[]> {
  const filters = ownFilter(installation);
  const found = await engine.call((docker) => docker.listContainers({ all: true, filters }));
  return found.flatMap(({ Id: id, State: state, Labels: labels }): Found[] => {
    const label = readRunLabel(labels);
    const begun = !['created', 'configured', 'initialized'].includes(state);
    return label ? [{ id, label, begun }] : [];
  });
}

interface WatchTerms {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  readonly installation: string;
  readonly signal: AbortSignal;
}

interface Watcher {
  /** Something happened to a container of this pod. */
  changed(this: void, key: string): Promise<void>;
  /** All there are: after a gap, and now and then. */
  all(this: void, found: readonly Found[]): Promise<void>;
}

const zEvent = z.object({
  Action: z.string(),
  Actor: z.object({ Attributes: z.record(z.string(), z.string()) }),
});

/** Tells of what happens to containers until `signal` aborts, whatever becomes of the engine meanwhile. */
export async function watchContainers(terms: WatchTerms, watcher: Watcher): Promise<void> {
  const { clock, log, signal, engine } = terms;
  let delayMs: number = againMs.first;
  let away = false;
  while (!signal.aborted) {
    try {
      await watchOnce(terms, watcher, () => {
        if (away) log.info({ engine: engine.address }, 'the container engine answers again');
        away = false;
        delayMs = againMs.first;
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!away) log.warn({ error: String(error) }, 'the container engine does not answer');
      away = true;
    }
    await clock.sleep(delayMs, signal).catch(() => undefined);
    delayMs = Math.min(againMs.max, 2 * delayMs);
  }
}

/** Listens before it looks, so that nothing falls between the two. */
async function watchOnce(terms: WatchTerms, watcher: Watcher, begun: () => void): Promise<void> {
  const { engine, clock, signal } = terms;
  const ended = new AbortController();
  const abortSignal = AbortSignal.any([signal, ended.signal]);
  const filters = { ...ownFilter(terms.installation), type: ['container'] };
  const events = await engine.stream((docker) =>
    docker.getEvents({ filters: JSON.stringify(filters), abortSignal }),
  );
  begun();
  const looking = (async (): Promise<void> => {
    while (!abortSignal.aborted) {
      await watcher.all(await findContainers(engine, terms.installation));
      await clock.sleep(resyncMs, abortSignal).catch(() => undefined);
    }
  })();
  try {
    await Promise.race([looking, tell(events, watcher)]);
  } finally {
    ended.abort();
    await looking.catch(() => undefined);
  }
}

async function tell(events: NodeJS.ReadableStream, watcher: Watcher): Promise<void> {
  for await (const line of jsonLines(events)) {
    const { data } = zEvent.safeParse(line);
    const label = data && readRunLabel(data.Actor.Attributes);
    // Not awaited: one that takes long must not keep the others waiting.
    if (label) void watcher.changed(label.key).catch(() => undefined);
  }
}
