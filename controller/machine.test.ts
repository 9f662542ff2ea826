import { expect, test } from 'vitest';
import type { DesiredPod, PodState } from '#contracts/pod.ts';
import { podStates } from '#contracts/pod.ts';
import { desiredPod, ended, nowMs, podStatus, running } from '../test/pod-examples.ts';
import type { Facts, Plan } from './plan.ts';
import { plan } from './plan.ts';
import type { Observed } from './runtime/runtime.ts';
import { statusOf } from './status.ts';

/** The whole status machine: whatever is asked, recorded and found, in every combination. */

const requests: Readonly<Record<string, DesiredPod | undefined>> = {
  ON: desiredPod(),
  OFF: desiredPod({ requested: 'OFF' }),
  restart: desiredPod({ generation: 2, generationCause: 'restart' }),
  'start after OFF': desiredPod({ generation: 2, generationCause: 'start' }),
  'made anew': desiredPod({ createdAtMs: nowMs }),
  deleted: undefined,
};

const silent = { default: { host: '127.0.0.1', port: 20_001, listening: false } };
const foundings: Readonly<Record<string, Observed | undefined>> = {
  nothing: undefined,
  starting: running({ phase: 'starting', addresses: {} }),
  'running, not listening': running({ addresses: silent }),
  listening: running(),
  'another run': running({ run: 7 }),
  'ended well': ended(),
  'ended badly': ended({ exitCode: 1 }),
  'ended by a signal': ended({ exitCode: null, signal: 'SIGKILL' }),
  stopped: ended({ by: 'stopped' }),
  lost: ended({ by: 'lost', exitCode: null }),
  refused: ended({ by: 'refused', exitCode: null }),
};

/** What may follow, by what is asked and what is found; `*` for anything else. */
const wanted: Readonly<Record<string, Readonly<Record<string, readonly Plan['situation'][]>>>> = {
  ON: {
    nothing: ['launching', 'failed', 'complete'],
    starting: ['running', 'launching', 'restarting'],
    'running, not listening': ['running', 'restarting'],
    listening: ['running', 'restarting'],
    'another run': ['restarting'],
    'ended well': ['complete', 'launching'],
    'ended badly': ['waiting', 'launching'],
    'ended by a signal': ['waiting', 'launching'],
    stopped: ['launching'],
    lost: ['launching'],
    refused: ['failed', 'launching'],
  },
  OFF: {
    starting: ['stopping'],
    'running, not listening': ['stopping'],
    listening: ['stopping'],
    'another run': ['stopping'],
    '*': ['stopped'],
  },
  restart: {
    starting: ['restarting'],
    'running, not listening': ['restarting'],
    listening: ['restarting'],
    'another run': ['restarting'],
    '*': ['launching'],
  },
  'start after OFF': {
    starting: ['restarting'],
    'running, not listening': ['restarting'],
    listening: ['restarting'],
    'another run': ['restarting'],
    '*': ['launching'],
  },
  'made anew': { nothing: ['launching', 'failed', 'complete'], '*': ['removing'] },
  deleted: { '*': ['removing'] },
};

const stateOf: Readonly<Record<Plan['situation'], readonly PodState[]>> = {
  removing: ['DELETING'],
  restarting: ['DELETING'],
  stopping: ['DELETING'],
  stopped: ['STOPPED'],
  launching: ['SPAWNER SETUP'],
  running: ['CREATING', 'AVAILABLE'],
  waiting: ['CREATING'],
  failed: ['ERROR'],
  complete: ['COMPLETE'],
};

const recorded = [undefined, ...podStates];
const rows = Object.entries(requests).flatMap(([request, desired]) =>
  Object.entries(foundings).flatMap(([founding, observed]) =>
    recorded.map((state) => ({ request, desired, founding, observed, state })),
  ),
);

test.each(rows)('$request, found $founding, recorded $state', (row) => {
  const { request, desired, founding, observed, state } = row;
  const status = state && podStatus({ state });
  const facts: Facts = { desired, observed, status, nowMs };
  const next = plan(facts);
  const allowed = wanted[request]?.[founding] ?? wanted[request]?.['*'] ?? [];
  // Nothing is on record: what was asked for is asked for the first time.
  const isFirst = state === undefined && desired?.requested === 'ON';
  const first: Plan['situation'][] = ['launching', 'restarting', 'removing'];
  expect(isFirst ? first : allowed).toContain(next.situation);
  expect(stateOf[next.situation]).toContain(statusOf(facts, next, 'served').state);
});

test.each(rows)('$request, found $founding, recorded $state: settles in a few steps', (row) => {
  const { desired, state } = row;
  let observed = row.observed;
  let status = state && podStatus({ state });
  let atMs = nowMs;
  const launched: number[] = [];
  for (let step = 0; step < 12; step += 1) {
    const facts: Facts = { desired, observed, status, nowMs: atMs };
    if (!desired && !observed && !status) break;
    const next = plan(facts);
    status = statusOf(facts, next, 'served');
    if (next.step.do === 'nothing') {
      // Only what waits has a reason to be looked at again; nothing is stuck in between.
      const between: PodState[] = ['REQUESTED', 'SPAWNER SETUP', 'DELETING'];
      if (desired) expect(between).not.toContain(status.state);
      if (next.situation !== 'waiting') break;
      atMs = next.againAtMs ?? Number.NaN;
      expect(atMs).toBeGreaterThan(nowMs);
    } else if (next.step.do === 'launch') {
      expect(observed?.end === null).toBe(false);
      launched.push(next.step.run);
      observed = running({
        run: next.step.run,
        ...(desired && { podCreatedAtMs: desired.createdAtMs }),
      });
    } else if (next.step.do === 'stop') {
      observed = observed && ended({ run: observed.run, by: 'stopped' });
    } else {
      observed = undefined;
      status = undefined;
    }
  }
  const last = plan({ desired, observed, status, nowMs: atMs });
  expect(last.step).toEqual({ do: 'nothing' });
  expect(launched.length).toBeLessThanOrEqual(1);
});
