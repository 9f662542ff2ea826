import { Refused } from '../refused.ts';
import type { RunEnd } from '../runtime.ts';
import type { ContainerState } from './container-state.ts';
import type { Record } from './records.ts';

/** How a run ended of which no container can tell. */
export type Reason = Pick<RunEnd, 'by' | 'message'>;

/** 128 and the number of SIGKILL: all that is left of a signal in a container. */
const killedCode = 137;

/** The end of a run by what its container shows; `words` are its last lines. */
export function endOf({ exit }: ContainerState, record: Record, words: string): RunEnd {
  const { stopping, memoryLimitMi } = record;
  const { exitCode, endedAtMs, outOfMemory, error } = exit;
  // Not every kernel tells engines that it was for memory.
  const guess = exitCode === killedCode && !stopping;
  const cause = outOfMemory
    ? `It exceeded its memory limit of ${memoryLimitMi} MiB and was killed.`
    : guess
      ? `It was killed (SIGKILL), as happens beyond its memory limit of ${memoryLimitMi} MiB.`
      : error;
  const message = [cause, words].filter((text) => text !== '').join('\n');
  return { by: stopping ? 'stopped' : 'itself', exitCode, signal: null, message, endedAtMs };
}

export function endWithout({ by, message }: Reason, record: Record, endedAtMs: number): RunEnd {
  const stopped = record.stopping && by === 'lost';
  return { by: stopped ? 'stopped' : by, exitCode: null, signal: null, message, endedAtMs };
}

export function failedLaunch(error: unknown): Reason {
  const message = error instanceof Error ? error.message : String(error);
  return { by: error instanceof Refused ? 'refused' : 'itself', message };
}
