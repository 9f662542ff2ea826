import { describe, expect, test } from 'vitest';
import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import { actionsMax, zPodStatus } from '#contracts/pod.ts';
import { desiredPod, ended, nowMs, podStatus, running } from '../test/pod-examples.ts';
import { plan } from './plan.ts';
import type { Observed } from './runtime/runtime.ts';
import { statusOf } from './status.ts';
import type { RouteStanding } from './status.ts';

interface Given {
  desired?: Partial<DesiredPod>;
  status?: Partial<PodStatus> | null;
  observed?: Observed;
  standing?: RouteStanding;
}

function status({ desired, status: before, observed, standing = 'unserved' }: Given): PodStatus {
  const facts = {
    desired: desiredPod(desired),
    status: before === null ? undefined : podStatus(before),
    observed,
    nowMs,
  };
  return zPodStatus.parse(statusOf(facts, plan(facts), standing));
}

const silent = running({
  addresses: { default: { host: '127.0.0.1', port: 20_001, listening: false } },
});
const localOnly = { networking: { default: { protocol: 'local_only', port: 5000 } } } as const;
const twoNetworks = {
  networking: {
    metrics: { protocol: 'http', port: 1 },
    default: { protocol: 'tcp', port: 2 },
  },
} as const;
const twoAddresses = (defaultListens: boolean): Observed =>
  running({
    addresses: {
      metrics: { host: '127.0.0.1', port: 20_001, listening: !defaultListens },
      default: { host: '127.0.0.1', port: 20_002, listening: defaultListens },
    },
  });

describe('the state of a pod', () => {
  test.each<[string, Given, PodStatus['state'], RegExp]>([
    ['before its first launch', { status: null }, 'SPAWNER SETUP', /Run 1: requested by create/],
    ['before it listens', { observed: silent }, 'CREATING', /port 20001 .* PORT_DEFAULT/],
    [
      'while its image is fetched',
      {
        observed: running({ phase: 'starting', addresses: {}, message: 'Fetches nginx: 40 %.' }),
        standing: 'served',
      },
      'CREATING',
      /^Fetches nginx: 40 %\.$/,
    ],
    [
      'with local networks only, before it runs',
      { desired: localOnly, observed: running({ phase: 'starting', addresses: {} }) },
      'CREATING',
      /being started/,
    ],
    [
      'while it listens nowhere, and the runtime knows why',
      { observed: { ...silent, message: 'Its probe fails: 500.' } },
      'CREATING',
      /^Its probe fails: 500\.$/,
    ],
    ['before gateways serve it', { observed: running() }, 'CREATING', /gateways are about to/],
    [
      'without a gateway',
      { observed: running(), standing: 'no gateway' },
      'CREATING',
      /no gateway is there/,
    ],
    ['when all gateways serve it', { observed: running(), standing: 'served' }, 'AVAILABLE', /./],
    [
      'when a gateway joined later',
      { observed: running(), status: { state: 'AVAILABLE' } },
      'AVAILABLE',
      /./,
    ],
    [
      'when it ceased to listen',
      { observed: silent, status: { state: 'AVAILABLE' }, standing: 'served' },
      'CREATING',
      /does not listen/,
    ],
    [
      'with local networks only, as soon as it runs',
      { desired: localOnly, observed: silent },
      'AVAILABLE',
      /runs/,
    ],
    ['without networks', { desired: { networking: {} }, observed: silent }, 'AVAILABLE', /runs/],
    [
      'while only a lesser network listens',
      { desired: twoNetworks, observed: twoAddresses(false), standing: 'served' },
      'CREATING',
      /20002/,
    ],
    [
      'when the default network listens, whatever the others do',
      { desired: twoNetworks, observed: twoAddresses(true), standing: 'served' },
      'AVAILABLE',
      /./,
    ],
    [
      'when a network was added that its run does not know',
      {
        desired: { networking: { web: { protocol: 'http', port: 1 } } },
        observed: running(),
        standing: 'served',
      },
      'CREATING',
      /[Rr]estart/,
    ],
    [
      'between two attempts',
      { observed: ended({ exitCode: 7, message: 'no disk' }) },
      'CREATING',
      /^The program ended with exit code 7; it starts again 1 s later\.\nno disk$/,
    ],
    [
      'after too many failures',
      {
        observed: ended({ exitCode: 7, message: 'no disk' }),
        status: { failuresAtMs: [nowMs - 4, nowMs - 3, nowMs - 2, nowMs - 1] },
      },
      'ERROR',
      /exit code 7 \(failed 5 times within 10 minutes\).*\nno disk$/,
    ],
    [
      'when a signal ended it too often',
      {
        observed: ended({ exitCode: null, signal: 'SIGSEGV' }),
        status: { failuresAtMs: [nowMs - 4, nowMs - 3, nowMs - 2, nowMs - 1] },
      },
      'ERROR',
      /SIGSEGV/,
    ],
    [
      'when it cannot be started at all',
      { observed: ended({ by: 'refused', exitCode: null, message: 'needs a command' }) },
      'ERROR',
      /needs a command/,
    ],
    [
      'in error, when the runtime has lost its traces',
      { status: { state: 'ERROR', message: 'as it was said then' } },
      'ERROR',
      /^as it was said then$/,
    ],
    ['when it has done its work', { observed: ended() }, 'COMPLETE', /exit code 0/],
    [
      'while it is stopped',
      { desired: { requested: 'OFF' }, observed: running() },
      'DELETING',
      /OFF/,
    ],
    ['when it is stopped', { desired: { requested: 'OFF' }, observed: ended() }, 'STOPPED', /OFF/],
    [
      'during a restart',
      { desired: { generation: 2 }, observed: running() },
      'DELETING',
      /restart/,
    ],
    [
      'after time_to_stop',
      { status: { expiredGeneration: 1 }, observed: ended() },
      'STOPPED',
      /time_to_stop/,
    ],
  ])('%s', (_name, given, state, message) => {
    expect(status(given)).toMatchObject({ state, message: expect.stringMatching(message) });
  });
});

describe('a launch that failed without a trace', () => {
  const failure = { exitCode: null, signal: null, message: 'no room', endedAtMs: nowMs } as const;
  const of = (by: 'itself' | 'refused', before: Partial<PodStatus>): PodStatus => {
    const launchFailure = { ...failure, by };
    const facts = {
      desired: desiredPod(),
      status: podStatus(before),
      observed: undefined,
      nowMs,
      launchFailure,
    };
    return statusOf(facts, plan(facts), 'unserved');
  };

  test('is told, and told still when it is looked at again', () => {
    const first = of('itself', {});
    expect(first).toMatchObject({ state: 'CREATING', message: expect.stringMatching(/no room$/) });
    const again = status({ status: first });
    expect([again.state, again.message]).toEqual([first.state, first.message]);
    expect(again.actions).toEqual(first.actions);
  });

  test('is an error after five times, or at once when it cannot work', () => {
    const four = [nowMs - 4, nowMs - 3, nowMs - 2, nowMs - 1];
    const told = expect.stringMatching(/no room$/);
    expect(of('itself', { failuresAtMs: four })).toMatchObject({ state: 'ERROR', message: told });
    expect(of('refused', {})).toMatchObject({ state: 'ERROR', message: told });
  });
});

const warnings = ({ actions }: PodStatus): string[] =>
  actions.map(({ text }) => text).filter((text) => /time_to_stop/.test(text));

describe('the action log', () => {
  test('gets a line when the state changes, and none while it does not', () => {
    const first = status({ observed: silent, status: null });
    const before = status({ observed: silent, status: { state: 'SPAWNER SETUP' } });
    expect(before.actions).toHaveLength(1);
    expect(before.actions[0]?.text).toMatch(/^CREATING: The program runs, but/);
    expect(status({ observed: silent, status: before }).actions).toEqual(before.actions);
    expect(first.actions).toHaveLength(1);
  });

  test('tells of every attempt, and never what the program wrote', () => {
    const observed = ended({ exitCode: 7, message: 'password=hunter2' });
    const { actions } = status({ observed, status: { state: 'CREATING', message: 'before' } });
    expect(actions.map(({ text }) => text)).toEqual([
      'CREATING: The program ended with exit code 7; it starts again 1 s later.',
    ]);
  });

  test('has what the runtime tells of a run, once and where it belongs by its time', () => {
    const notes = [
      { atMs: nowMs - 9, text: 'Fetching nginx began.' },
      { atMs: nowMs - 5, text: 'Fetching nginx ended.' },
    ];
    const observed = { ...silent, notes };
    const actions = [
      { atMs: nowMs - 10, text: 'first' },
      { atMs: nowMs - 7, text: 'between' },
    ];
    const first = status({ observed, status: { actions } });
    expect(first.actions.map(({ text }) => text)).toEqual([
      'first',
      'Fetching nginx began.',
      'between',
      'Fetching nginx ended.',
    ]);
    expect(status({ observed, status: first }).actions).toEqual(first.actions);
  });

  test('that is full does not get a line again that it has lost', () => {
    const full = Array.from({ length: actionsMax }, (_, i) => ({ atMs: nowMs + i, text: 'new' }));
    const observed = { ...silent, notes: [{ atMs: nowMs - 1, text: 'old' }] };
    expect(status({ observed, status: { actions: full } }).actions).toEqual(full);
  });

  test('warns once before time_to_stop, and again when that has moved', () => {
    const observed = running({ startedAtMs: nowMs - 250_000 });
    const of = (timeToStopDefault: number, before: Partial<PodStatus>): PodStatus =>
      status({ desired: { timeToStopDefault }, observed, status: before, standing: 'served' });
    expect(warnings(of(400, {}))).toEqual([]);
    const warned = of(300, {});
    expect(warnings(warned)).toEqual([
      'time_to_stop will set the pod to OFF at 2026-11-23T12:00:50.000Z',
    ]);
    expect(warnings(of(300, warned))).toHaveLength(1);
    expect(warnings(of(305, warned))).toHaveLength(2);
  });

  test('keeps its newest lines', () => {
    const old = Array.from({ length: actionsMax }, (_, atMs) => ({ atMs, text: 'old' }));
    const { actions } = status({ observed: ended(), status: { actions: old } });
    expect(actions).toHaveLength(actionsMax);
    expect(actions.at(-1)).toEqual({
      atMs: expect.any(Number),
      text: expect.stringMatching(/^COMPLETE: /),
      kind: 'set_status',
      actor: { type: 'controller', name: 'controller' },
      status: 'COMPLETE',
    });
    expect(actions[0]?.atMs).toBe(1);
  });
});
