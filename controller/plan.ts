import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import type { Observed, RunEnd } from './runtime/runtime.ts';

/** All that decisions about one pod are made from. */
export interface Facts {
  readonly desired: DesiredPod | undefined;
  readonly status: PodStatus | undefined;
  readonly observed: Observed | undefined;
  readonly nowMs: number;
  /** The launch that was tried just now has failed in this way, and the runtime knows nothing of it. */
  readonly launchFailure?: RunEnd | undefined;
}

/** What is remembered of a pod between two looks; kept in its status. */
type Ledger = Pick<
  PodStatus,
  'generation' | 'run' | 'startedAtMs' | 'stopAtMs' | 'expiredGeneration' | 'failuresAtMs'
>;

type Step =
  | { readonly do: 'nothing' }
  | { readonly do: 'launch'; readonly run: number }
  | { readonly do: 'stop' }
  /** Forget the pod: its files, then its status. */
  | { readonly do: 'remove' };

/** How the pod is, which status and routes are made from. */
export type Situation =
  | 'removing'
  | 'restarting'
  | 'stopping'
  | 'stopped'
  | 'launching'
  | 'running'
  | 'waiting'
  | 'failed'
  | 'complete';

/**
 * The next step for a pod, one at a time: after it the world is looked at again. `reason` is a
 * sentence for the action log and the status; `againAtMs` is when to look without an event.
 */
export interface Plan {
  readonly situation: Situation;
  readonly step: Step;
  readonly reason: string;
  readonly ledger: Ledger;
  readonly againAtMs: number | undefined;
}

const restartMs = { first: 1_000, max: 60_000 } as const;
const failuresMax = 5;
const failureWindowMs = 10 * 60_000;
/** A tenth of a pod's time before it is over, and not sooner than ten minutes nor later than one. */
const warning = { part: 0.1, longestMs: 10 * 60_000, shortestMs: 60_000 } as const;
// Older ones decide nothing any more.
const failuresKept = 16;

const newLedger: Ledger = {
  generation: 0,
  run: 0,
  startedAtMs: null,
  stopAtMs: null,
  expiredGeneration: null,
  failuresAtMs: [],
};

/** Decides the next step for one pod from everything that is known about it. */
export function plan(facts: Facts): Plan {
  const { desired, status, observed } = facts;
  const ledger = ledgerOf(status);
  if (!desired) return planRemoval(facts, ledger, 'the pod was deleted');
  if (observed && observed.podCreatedAtMs !== desired.createdAtMs)
    return planRemoval(facts, ledger, 'an earlier pod had the same id');
  const expired = expiry(facts, ledger);
  const wanted = desired.requested === 'ON' && expired.expiredGeneration !== desired.generation;
  return wanted ? planOn(facts, desired, ledger) : planOff(facts, desired, expired);
}

/** The part of a status that decisions rest on. */
function ledgerOf(status: PodStatus | undefined): Ledger {
  if (!status) return newLedger;
  const { generation, run, startedAtMs, stopAtMs, expiredGeneration, failuresAtMs } = status;
  return { generation, run, startedAtMs, stopAtMs, expiredGeneration, failuresAtMs };
}

const lives = (observed: Observed | undefined): boolean =>
  observed !== undefined && observed.end === null;

function planRemoval({ observed, status }: Facts, ledger: Ledger, reason: string): Plan {
  const base = { situation: 'removing', reason, ledger, againAtMs: undefined } as const;
  if (lives(observed)) return { ...base, step: { do: 'stop' } };
  if (observed ?? status) return { ...base, step: { do: 'remove' } };
  return { ...base, step: { do: 'nothing' } };
}

/** The ledger with time_to_stop taken into account, which counts from the first run of a generation. */
function expiry({ desired, nowMs }: Facts, ledger: Ledger): Ledger {
  if (!desired || desired.generation > ledger.generation) return ledger;
  const stopAtMs = stopTime(desired, ledger.startedAtMs);
  if (stopAtMs === null || nowMs < stopAtMs) return ledger;
  return { ...ledger, expiredGeneration: desired.generation };
}

function stopTime(desired: DesiredPod, startedAtMs: number | null): number | null {
  const seconds = desired.timeToStopInstance ?? desired.timeToStopDefault;
  return startedAtMs === null || seconds < 0 ? null : startedAtMs + seconds * 1_000;
}

function planOff({ observed }: Facts, desired: DesiredPod, before: Ledger): Plan {
  const expired = before.expiredGeneration === desired.generation && desired.requested === 'ON';
  const reason = expired
    ? 'time_to_stop was reached, so the pod was set to OFF'
    : 'OFF was requested';
  if (lives(observed)) {
    const step = { do: 'stop' } as const;
    return { situation: 'stopping', step, reason, ledger: before, againAtMs: undefined };
  }
  const { generation } = desired;
  const ledger = { ...before, generation, startedAtMs: null, stopAtMs: null, failuresAtMs: [] };
  const step = { do: 'nothing' } as const;
  return { situation: 'stopped', step, reason, ledger, againAtMs: undefined };
}

function planOn(facts: Facts, desired: DesiredPod, ledger: Ledger): Plan {
  const { observed, status } = facts;
  const isNew = status === undefined || desired.generation > ledger.generation;
  if (isNew && lives(observed)) return stopFirst(ledger, 'a restart was requested');
  if (isNew) return launchGeneration(desired, ledger, observed);
  if (observed && lives(observed)) {
    if (observed.run === ledger.run) return keepRunning(facts, desired, ledger, observed);
    return stopFirst(ledger, `run ${observed.run} is not the one that should run`);
  }
  return planNextRun(facts, desired, ledger);
}

function stopFirst(ledger: Ledger, reason: string): Plan {
  const step = { do: 'stop' } as const;
  return { situation: 'restarting', step, reason, ledger, againAtMs: undefined };
}

function launchGeneration(desired: DesiredPod, before: Ledger, observed?: Observed): Plan {
  const { generation, generationCause } = desired;
  const ledger = { ...newLedger, generation, expiredGeneration: before.expiredGeneration };
  const run = Math.max(before.run, observed?.run ?? 0) + 1;
  return launch({ ...ledger, run }, `requested by ${generationCause}`);
}

function launch(ledger: Ledger, reason: string): Plan {
  const step = { do: 'launch', run: ledger.run } as const;
  return { situation: 'launching', step, reason, ledger, againAtMs: undefined };
}

function keepRunning(facts: Facts, desired: DesiredPod, before: Ledger, observed: Observed): Plan {
  // Fetching an image takes nothing from the time that a pod has.
  const began = observed.phase === 'starting' ? null : observed.startedAtMs;
  const startedAtMs = before.startedAtMs ?? began;
  const stopAtMs = stopTime(desired, startedAtMs);
  // Whoever has run this long has recovered, and its next failure is a first one.
  const recoversAtMs = (began ?? facts.nowMs) + failureWindowMs;
  const ill = before.failuresAtMs.length > 0 && facts.nowMs < recoversAtMs;
  const failuresAtMs = ill ? before.failuresAtMs : [];
  const warnAtMs = warningTime({ startedAtMs, stopAtMs });
  const due = [
    stopAtMs,
    ill ? recoversAtMs : null,
    warnAtMs !== null && facts.nowMs < warnAtMs ? warnAtMs : null,
  ].filter((atMs) => atMs !== null);
  return {
    situation: 'running',
    step: { do: 'nothing' },
    reason: '',
    ledger: { ...before, startedAtMs, stopAtMs, failuresAtMs },
    againAtMs: due.length > 0 ? Math.min(...due) : undefined,
  };
}

/** From when on the owner is told that time_to_stop is near. */
export function warningTime({
  startedAtMs,
  stopAtMs,
}: Pick<Ledger, 'startedAtMs' | 'stopAtMs'>): number | null {
  if (startedAtMs === null || stopAtMs === null) return null;
  const partMs = (stopAtMs - startedAtMs) * warning.part;
  return stopAtMs - Math.min(warning.longestMs, Math.max(warning.shortestMs, partMs));
}

/** Nothing runs and something should: whether it is launched again depends on how it ended. */
function planNextRun(facts: Facts, desired: DesiredPod, before: Ledger): Plan {
  const { observed, status } = facts;
  const ledger = { ...before, stopAtMs: stopTime(desired, before.startedAtMs) };
  const over = observed === undefined || observed.run < ledger.run;
  if (over && status?.state === 'ERROR') return rest('failed', ledger, '');
  if (over && status?.state === 'COMPLETE') return rest('complete', ledger, '');
  if (over && facts.launchFailure) return afterEnd(facts, facts.launchFailure, ledger, ledger);
  const dueMs = over ? retryTime(ledger.failuresAtMs) : 0;
  if (facts.nowMs < dueMs) return waitFor(dueMs, ledger, 'it could not be started');
  // Noted but not launched before the controller ended; or the runtime has lost all trace of it.
  if (over || !observed.end)
    return launch({ ...ledger, run: Math.max(1, ledger.run) }, 'not launched yet');
  const next = { ...ledger, run: observed.run + 1 };
  // Written by a controller whose records are gone: nothing is known about that run.
  if (observed.run > ledger.run) return launch(next, 'its last run is not on record');
  return afterEnd(facts, observed.end, ledger, next);
}

function afterEnd(facts: Facts, end: RunEnd, ledger: Ledger, next: Ledger): Plan {
  switch (end.by) {
    case 'stopped':
      return launch(next, 'ON is requested and it was stopped');
    case 'lost':
      return launch(next, `its last run was lost${end.message ? `: ${end.message}` : ''}`);
    case 'refused':
      return rest('failed', ledger, 'it cannot be started');
    case 'itself':
      return end.exitCode === 0
        ? rest('complete', ledger, 'the program ended with exit code 0')
        : afterFailure(facts, end, ledger, next);
  }
}

function rest(situation: 'failed' | 'complete', ledger: Ledger, reason: string): Plan {
  const again = ledger.stopAtMs ?? undefined;
  return { situation, step: { do: 'nothing' }, reason, ledger, againAtMs: again };
}

function afterFailure(facts: Facts, end: RunEnd, before: Ledger, next: Ledger): Plan {
  const counted = before.failuresAtMs.includes(end.endedAtMs);
  const failuresAtMs = counted
    ? before.failuresAtMs
    : [...before.failuresAtMs, end.endedAtMs].slice(-failuresKept);
  const ledger = { ...before, failuresAtMs };
  const recent = failuresAtMs.filter((atMs) => atMs > end.endedAtMs - failureWindowMs).length;
  if (recent >= failuresMax)
    return rest('failed', ledger, `failed ${recent} times within 10 minutes`);
  // From now at most, whatever the wall clock did meanwhile.
  const delayMs = retryDelay(failuresAtMs.length);
  const dueMs = Math.min(end.endedAtMs, facts.nowMs) + delayMs;
  if (facts.nowMs >= dueMs)
    return launch({ ...next, failuresAtMs }, `${howItEnded(end)}, so it starts again`);
  return waitFor(dueMs, ledger, `${howItEnded(end)}; it starts again ${delayMs / 1_000} s later`);
}

const retryDelay = (failures: number): number =>
  Math.min(restartMs.max, restartMs.first * 2 ** (failures - 1));

/** When the next run is due after these failures; a clock that was set back makes it no later. */
function retryTime(failuresAtMs: readonly number[]): number {
  const newest = failuresAtMs.at(-1);
  return newest === undefined ? 0 : newest + retryDelay(failuresAtMs.length);
}

function waitFor(dueMs: number, ledger: Ledger, reason: string): Plan {
  const againAtMs = Math.min(dueMs, ledger.stopAtMs ?? dueMs);
  return { situation: 'waiting', step: { do: 'nothing' }, reason, ledger, againAtMs };
}

/** A clause for people. */
export function howItEnded(end: RunEnd): string {
  if (end.exitCode !== null) return `the program ended with exit code ${end.exitCode}`;
  if (end.signal !== null) return `the program was ended by ${end.signal}`;
  return 'the program could not go on';
}
