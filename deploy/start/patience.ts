import type { Part } from '#contracts/admin.ts';
import type { System } from './system.ts';

const againMs = 500;
// A dependency that is not there yet, or away. Everything else would fail again.
const passing = new Set([
  'StoreUnavailable',
  'WriteOutcomeUnknown',
  'UnsafeRedis',
  'BusUnavailable',
  'RuntimeUnavailable',
]);

/** What is started as soon as what it needs is there. */
export interface Starting<T> extends Part {
  /** Rejects with what waiting does not mend, and when the signal aborts. */
  readonly started: Promise<T>;
}

/**
 * Starts a part of a program, again and again while a dependency is away: in which order programs are
 * started must not matter. Until then it is the part's problem.
 */
export function startPatiently<T extends Pick<Part, 'problem'>>(
  name: string,
  start: () => Promise<T>,
  { clock, log }: System,
  signal: AbortSignal,
): Starting<T> {
  let problem: (() => string | undefined) | undefined;
  let reason = 'it is starting';
  const attempt = async (): Promise<T> => {
    for (;;) {
      try {
        const running = await start();
        problem = () => running.problem();
        return running;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Error) || !passing.has(error.name)) throw error;
        if (reason !== error.message) log.warn({ part: name, reason: error.message }, 'it waits');
        reason = error.message;
      }
      await clock.sleep(againMs, signal);
    }
  };
  const started = attempt();
  // Told to those who wait for it; nobody may.
  started.catch(() => undefined);
  return {
    name,
    started,
    problem: () => (problem ? problem() : `it waits to start: ${reason}`),
  };
}
