import { describe, expect, test } from 'vitest';
import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import { plan } from './plan.ts';
import type { Facts, Plan } from './plan.ts';
import { desiredPod, ended, nowMs, podStatus, running } from '../test/pod-examples.ts';

type Row = [
  name: string,
  facts: {
    desired?: Partial<DesiredPod> | null;
    status?: Partial<PodStatus> | null;
    observed?: Facts['observed'];
    nowMs?: number;
    launchFailure?: Facts['launchFailure'];
  },
  want: {
    situation: Plan['situation'];
    step: Plan['step'];
    ledger?: Partial<Plan['ledger']>;
    afterMs?: number;
    reason?: RegExp;
  },
];

const second = 1_000;
const minute = 60 * second;
const nothing = { do: 'nothing' } as const;
const stop = { do: 'stop' } as const;
const remove = { do: 'remove' } as const;
const launch = (run: number): Plan['step'] => ({ do: 'launch', run });
/** A program that failed `agoMs` ago with exit code 1. */
const failure = (agoMs: number): Facts['observed'] =>
  ended({ by: 'itself', exitCode: 1, endedAtMs: nowMs - agoMs });

const rows: readonly Row[] = [
  [
    'a new pod is launched for the first time',
    { status: null },
    {
      situation: 'launching',
      step: launch(1),
      ledger: { generation: 1, run: 1 },
      reason: /create/,
    },
  ],
  [
    'a pod created OFF rests, and its generation is acted on',
    { desired: { requested: 'OFF' }, status: null },
    { situation: 'stopped', step: nothing, ledger: { generation: 1, run: 0 } },
  ],
  [
    'a run that is on record but was not launched is launched under its number',
    { status: { run: 4 }, observed: undefined },
    { situation: 'launching', step: launch(4) },
  ],
  [
    'so is one whose predecessor is still known',
    { status: { run: 5 }, observed: ended({ run: 4 }) },
    { situation: 'launching', step: launch(5) },
  ],
  [
    'a pod that runs goes on, and its start is noted',
    { observed: running({ startedAtMs: nowMs - minute }) },
    { situation: 'running', step: nothing, ledger: { startedAtMs: nowMs - minute } },
  ],
  [
    'the time of a pod is not used up while its image is fetched',
    { observed: running({ phase: 'starting', startedAtMs: nowMs - minute, addresses: {} }) },
    { situation: 'running', step: nothing, ledger: { startedAtMs: null, stopAtMs: null } },
  ],
  [
    'a launch that failed without a trace is tried again later',
    {
      status: { run: 1 },
      launchFailure: { by: 'itself', exitCode: null, signal: null, message: 'x', endedAtMs: nowMs },
    },
    {
      situation: 'waiting',
      step: nothing,
      ledger: { run: 1, failuresAtMs: [nowMs] },
      afterMs: second,
    },
  ],
  [
    'and not sooner, whatever happens meanwhile',
    { status: { run: 1, failuresAtMs: [nowMs - 400] } },
    { situation: 'waiting', step: nothing, afterMs: 600 },
  ],
  [
    'but then, under the same number',
    { status: { run: 1, failuresAtMs: [nowMs - second] } },
    { situation: 'launching', step: launch(1) },
  ],
  [
    'and five times at most',
    {
      status: { run: 1, failuresAtMs: [nowMs - 4, nowMs - 3, nowMs - 2, nowMs - 1] },
      launchFailure: { by: 'itself', exitCode: null, signal: null, message: 'x', endedAtMs: nowMs },
    },
    { situation: 'failed', step: nothing, reason: /failed 5 times/ },
  ],
  [
    'a launch that cannot work is an error at once',
    {
      status: { run: 1 },
      launchFailure: {
        by: 'refused',
        exitCode: null,
        signal: null,
        message: 'x',
        endedAtMs: nowMs,
      },
    },
    { situation: 'failed', step: nothing },
  ],
  [
    'a changed pod is not restarted while its generation is the same',
    { desired: { image: 'podgate/process', command: ['true'] }, observed: running() },
    { situation: 'running', step: nothing },
  ],
  [
    'a run that is not the one on record is stopped',
    { status: { run: 2 }, observed: running({ run: 1 }) },
    { situation: 'restarting', step: stop },
  ],
  [
    'a newer generation first stops the old run',
    { desired: { generation: 2, generationCause: 'restart' }, observed: running() },
    { situation: 'restarting', step: stop, ledger: { generation: 1 } },
  ],
  [
    'and then launches a new one, with a clean record',
    {
      desired: { generation: 2, generationCause: 'restart' },
      status: { run: 3, failuresAtMs: [nowMs - 1], startedAtMs: nowMs - minute },
      observed: ended({ run: 3, by: 'stopped' }),
    },
    {
      situation: 'launching',
      step: launch(4),
      ledger: { generation: 2, failuresAtMs: [], startedAtMs: null },
      reason: /restart/,
    },
  ],
  [
    'OFF stops what runs',
    { desired: { requested: 'OFF' }, observed: running() },
    { situation: 'stopping', step: stop },
  ],
  [
    'and then rests',
    { desired: { requested: 'OFF' }, observed: ended({ by: 'stopped' }) },
    { situation: 'stopped', step: nothing, ledger: { startedAtMs: null, stopAtMs: null } },
  ],
  [
    'a deleted pod is stopped',
    { desired: null, observed: running() },
    { situation: 'removing', step: stop },
  ],
  [
    'and then removed',
    { desired: null, observed: ended({ by: 'stopped' }) },
    { situation: 'removing', step: remove },
  ],
  [
    'also when only its status is left',
    { desired: null, observed: undefined },
    { situation: 'removing', step: remove },
  ],
  [
    'or only its run',
    { desired: null, status: null, observed: running() },
    { situation: 'removing', step: stop },
  ],
  [
    'what is nowhere needs nothing',
    { desired: null, status: null, observed: undefined },
    { situation: 'removing', step: nothing },
  ],
  [
    'the run of an earlier pod of the same id is stopped, though all else agrees',
    { desired: { createdAtMs: nowMs }, observed: running() },
    { situation: 'removing', step: stop, reason: /earlier/ },
  ],
  [
    'and its files are removed before the new one gets any',
    { desired: { createdAtMs: nowMs, generation: 2 }, observed: ended({ by: 'stopped' }) },
    { situation: 'removing', step: remove },
  ],
  [
    'exit code 0 completes it for good',
    { observed: ended({ by: 'itself', exitCode: 0 }) },
    { situation: 'complete', step: nothing },
  ],
  [
    'complete stays complete when the runtime has lost its traces',
    { status: { state: 'COMPLETE' }, observed: undefined },
    { situation: 'complete', step: nothing },
  ],
  [
    'a first failure waits a second',
    { observed: failure(300) },
    {
      situation: 'waiting',
      step: nothing,
      ledger: { failuresAtMs: [nowMs - 300] },
      afterMs: 700,
      reason: /exit code 1; .* 1 s/,
    },
  ],
  [
    'a failure that was counted is not counted again',
    { status: { failuresAtMs: [nowMs - 300] }, observed: failure(300) },
    { situation: 'waiting', step: nothing, ledger: { failuresAtMs: [nowMs - 300] }, afterMs: 700 },
  ],
  [
    'after that second it starts again',
    { status: { failuresAtMs: [nowMs - second] }, observed: failure(second) },
    { situation: 'launching', step: launch(2), ledger: { failuresAtMs: [nowMs - second] } },
  ],
  [
    'a fourth failure waits 8 seconds',
    {
      status: { failuresAtMs: [1, 2, 3].map((n) => nowMs - n * minute).toReversed() },
      observed: failure(0),
    },
    { situation: 'waiting', step: nothing, afterMs: 8 * second },
  ],
  [
    'the fifth failure within 10 minutes is an error',
    {
      status: { failuresAtMs: [9, 6, 4, 2].map((n) => nowMs - n * minute) },
      observed: failure(0),
    },
    { situation: 'failed', step: nothing, reason: /5 times/ },
  ],
  [
    'five failures over a longer time are none, but the wait has grown',
    {
      status: { failuresAtMs: [12, 9, 6, 3].map((n) => nowMs - n * minute) },
      observed: failure(0),
    },
    { situation: 'waiting', step: nothing, afterMs: 16 * second },
  ],
  [
    'the wait ends at a minute',
    {
      status: { failuresAtMs: [33, 30, 27, 24, 21, 18, 15, 12].map((n) => nowMs - n * minute) },
      observed: failure(0),
    },
    { situation: 'waiting', step: nothing, afterMs: minute },
  ],
  [
    'an error stays one, long after',
    {
      status: {
        state: 'ERROR',
        failuresAtMs: [9, 6, 4, 2, 0].map((n) => nowMs - n * minute),
      },
      observed: failure(0),
      nowMs: nowMs + 24 * 60 * minute,
    },
    { situation: 'failed', step: nothing },
  ],
  [
    'an error stays one when the runtime has lost its traces',
    { status: { state: 'ERROR' }, observed: undefined },
    { situation: 'failed', step: nothing },
  ],
  [
    'an error ends with a newer generation',
    { desired: { generation: 2 }, status: { state: 'ERROR' }, observed: failure(minute) },
    { situation: 'launching', step: launch(2), ledger: { failuresAtMs: [] } },
  ],
  [
    'a run of 10 minutes clears earlier failures',
    {
      status: { failuresAtMs: [nowMs - 11 * minute] },
      observed: running({ startedAtMs: nowMs - 10 * minute }),
    },
    { situation: 'running', step: nothing, ledger: { failuresAtMs: [] } },
  ],
  [
    'a shorter one does not, and is looked at again when it becomes that long',
    {
      status: { failuresAtMs: [nowMs - 11 * minute] },
      observed: running({ startedAtMs: nowMs - 9 * minute }),
    },
    { situation: 'running', step: nothing, afterMs: minute },
  ],
  [
    'a clock that was set back does not stretch the wait',
    { observed: failure(-60 * minute) },
    { situation: 'waiting', step: nothing, afterMs: second },
  ],
  [
    'a run that we stopped ourselves is no failure',
    { observed: ended({ by: 'stopped', signal: 'SIGKILL', exitCode: null }) },
    { situation: 'launching', step: launch(2), ledger: { failuresAtMs: [] } },
  ],
  [
    'nor is one that ended while nobody watched',
    { observed: ended({ by: 'lost', exitCode: null }) },
    { situation: 'launching', step: launch(2), ledger: { failuresAtMs: [] } },
  ],
  [
    'a pod that was available and is found without a run is launched again',
    { status: { state: 'AVAILABLE' }, observed: undefined },
    { situation: 'launching', step: launch(1) },
  ],
  [
    'a spec that cannot be run is an error at once',
    { observed: ended({ by: 'refused', exitCode: null }) },
    { situation: 'failed', step: nothing },
  ],
  [
    'time_to_stop is looked at when it is due',
    { desired: { timeToStopDefault: 300 }, observed: running({ startedAtMs: nowMs - minute }) },
    {
      situation: 'running',
      step: nothing,
      ledger: { stopAtMs: nowMs + 4 * minute },
      // For the warning first.
      afterMs: 3 * minute,
    },
  ],
  [
    'time_to_stop is due to the millisecond, once it was warned of',
    { desired: { timeToStopDefault: 300 }, observed: running({ startedAtMs: nowMs - 299_500 }) },
    { situation: 'running', step: nothing, afterMs: 500 },
  ],
  [
    'time_to_stop_instance goes before the default',
    {
      desired: { timeToStopDefault: 300, timeToStopInstance: 600 },
      observed: running({ startedAtMs: nowMs }),
    },
    { situation: 'running', step: nothing, afterMs: 9 * minute },
  ],
  [
    'time_to_stop of -1 is never',
    { desired: { timeToStopDefault: -1 }, observed: running({ startedAtMs: 1 }) },
    { situation: 'running', step: nothing, ledger: { stopAtMs: null } },
  ],
  [
    'time_to_stop that is reached stops the pod',
    {
      desired: { timeToStopDefault: 300 },
      status: { startedAtMs: nowMs - 5 * minute },
      observed: running(),
    },
    {
      situation: 'stopping',
      step: stop,
      ledger: { expiredGeneration: 1 },
      reason: /time_to_stop/,
    },
  ],
  [
    'it counts from the first run, not from a restart after a failure',
    {
      desired: { timeToStopDefault: 300 },
      status: { startedAtMs: nowMs - 5 * minute },
      observed: failure(0),
    },
    { situation: 'stopped', step: nothing, ledger: { expiredGeneration: 1, stopAtMs: null } },
  ],
  [
    'a pod that expired stays off',
    { status: { expiredGeneration: 1 }, observed: ended({ by: 'stopped' }) },
    { situation: 'stopped', step: nothing, reason: /time_to_stop/ },
  ],
  [
    'until a newer generation is asked for',
    {
      desired: { generation: 2 },
      status: { expiredGeneration: 1 },
      observed: ended({ by: 'stopped' }),
    },
    { situation: 'launching', step: launch(2) },
  ],
  [
    'time_to_stop of the last generation does not end the next',
    {
      desired: { generation: 2, timeToStopDefault: 300 },
      status: { startedAtMs: nowMs - 60 * minute },
      observed: ended({ by: 'stopped' }),
    },
    { situation: 'launching', step: launch(2), ledger: { startedAtMs: null } },
  ],
];

describe('plan', () => {
  test.each(rows)('%s', (_name, given, want) => {
    const facts: Facts = {
      desired: given.desired === null ? undefined : desiredPod(given.desired),
      status: given.status === null ? undefined : podStatus(given.status),
      observed: given.observed,
      nowMs: given.nowMs ?? nowMs,
      launchFailure: given.launchFailure,
    };
    const got = plan(facts);
    expect(got).toMatchObject({ situation: want.situation, step: want.step });
    if (want.ledger) expect(got.ledger).toMatchObject(want.ledger);
    if (want.reason) expect(got.reason).toMatch(want.reason);
    if (want.afterMs !== undefined) expect((got.againAtMs ?? 0) - facts.nowMs).toBe(want.afterMs);
  });

  test('planning from what was planned changes nothing: a look costs no write', () => {
    for (const [, given] of rows) {
      const observed = given.observed;
      if (given.desired === null) continue;
      const desired = desiredPod(given.desired);
      const status = given.status === null ? undefined : podStatus(given.status);
      const first = plan({ desired, status, observed, nowMs });
      if (first.step.do !== 'nothing') continue;
      const kept = podStatus({ ...status, ...first.ledger });
      expect(plan({ desired, status: kept, observed, nowMs }).ledger).toEqual(first.ledger);
    }
  });
});
