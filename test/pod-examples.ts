import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Observed, RunEnd } from '../controller/runtime/runtime.ts';

/** Pods as tests want them: one that is fine, with what matters to a test changed. */

export const nowMs = Date.UTC(2026, 10, 23, 12);
const createdAtMs = nowMs - 3_600_000;
const sealed = zSealed.parse('v1.k.n.c');

export const desiredPod = (change: Partial<DesiredPod> = {}): DesiredPod => ({
  tenant: 'default',
  podId: 'mypod',
  owner: 'ada',
  description: '',
  image: 'podgate/hello',
  command: null,
  arguments: null,
  environment: sealed,
  networking: { default: { protocol: 'http', port: 5000 } },
  resources: { cpu_request: 250, cpu_limit: 2000, mem_request: 256, mem_limit: 3072, gpus: 0 },
  computeQueue: 'default',
  timeToStopDefault: 43_200,
  timeToStopInstance: null,
  requested: 'ON',
  generation: 1,
  generationCause: 'create',
  permissions: { ada: 'ADMIN' },
  credentials: { userUsername: 'mypod', userPassword: sealed },
  modifiedFields: [],
  actions: [],
  createdAtMs,
  updatedAtMs: createdAtMs,
  ...change,
});

export const podStatus = (change: Partial<PodStatus> = {}): PodStatus => ({
  state: 'CREATING',
  generation: 1,
  message: '',
  phase: 'Running',
  startedAtMs: null,
  stopAtMs: null,
  expiredGeneration: null,
  failuresAtMs: [],
  run: 1,
  actions: [],
  ...change,
});

export const running = (change: Partial<Observed> = {}): Observed => ({
  run: 1,
  podCreatedAtMs: createdAtMs,
  phase: 'running',
  startedAtMs: nowMs - 1_000,
  addresses: { default: { host: '127.0.0.1', port: 20_001, listening: true } },
  end: null,
  ...change,
});

export const ended = ({ run = 1, ...end }: Partial<RunEnd> & { run?: number } = {}): Observed => ({
  ...running({ run }),
  phase: 'exited',
  end: { by: 'itself', exitCode: 0, signal: null, message: '', endedAtMs: nowMs, ...end },
});
