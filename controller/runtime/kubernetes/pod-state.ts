import { z } from 'zod';
import type { RunEnd } from '../runtime.ts';

const zTerminated = z.object({
  exitCode: z.int(),
  signal: z.int().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  startedAt: z.string().nullish(),
  finishedAt: z.string().nullish(),
});

const zContainerStatus = z.object({
  ready: z.boolean(),
  state: z
    .object({
      waiting: z
        .object({ reason: z.string().optional(), message: z.string().optional() })
        .optional(),
      running: z.object({ startedAt: z.string().nullish() }).optional(),
      terminated: zTerminated.optional(),
    })
    .optional(),
});

/** What we read of a Pod. */
export const zPod = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    creationTimestamp: z.string(),
    deletionTimestamp: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.object({
    nodeName: z.string().optional(),
    containers: z.array(z.object({ image: z.string().optional() })),
  }),
  status: z
    .object({
      phase: z.string().optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      podIP: z.string().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().nullish(),
            message: z.string().nullish(),
          }),
        )
        .optional(),
      containerStatuses: z.array(zContainerStatus).optional(),
    })
    .optional(),
});
export type Pod = z.infer<typeof zPod>;

/** What a Pod shows of a run; `end` says how, without the program's last words. */
export interface PodState {
  readonly phase: 'starting' | 'running' | 'exited';
  readonly startedAtMs: number;
  readonly ready: boolean;
  readonly message: string | undefined;
  readonly end: RunEnd | undefined;
}

interface Terms {
  readonly memoryLimitMi: number;
  readonly nowMs: number;
}

/** Pure: reads a Pod as a run. */
export function stateOf(pod: Pod, terms: Terms): PodState {
  const { metadata, status } = pod;
  const container = status?.containerStatuses?.[0];
  const state = container?.state ?? {};
  const began = state.terminated?.startedAt ?? state.running?.startedAt;
  const startedAtMs = Date.parse(began ?? metadata.creationTimestamp);
  const end = endOf(pod, terms);
  if (end) return { phase: 'exited', startedAtMs, ready: false, message: undefined, end };
  const running = state.running !== undefined;
  const ready =
    running && container?.ready === true && conditionOf(pod, 'Ready')?.status === 'True';
  const phase = running ? 'running' : 'starting';
  return { phase, startedAtMs, ready, message: messageOf(pod, running), end: undefined };
}

const conditionOf = (pod: Pod, type: string) =>
  pod.status?.conditions?.find((condition) => condition.type === type);

function endOf(pod: Pod, { memoryLimitMi, nowMs }: Terms): RunEnd | undefined {
  const { status } = pod;
  const terminated = status?.containerStatuses?.[0]?.state?.terminated;
  const failed = status?.phase === 'Failed';
  if (status?.reason === 'Evicted' || status?.reason === 'NodeLost' || (failed && !terminated))
    return endWithoutProgram(pod, nowMs);
  if (terminated) return endOfProgram(terminated, memoryLimitMi, nowMs);
  return refusalOf(pod, nowMs);
}

function endOfProgram(
  terminated: z.infer<typeof zTerminated>,
  memoryLimitMi: number,
  nowMs: number,
): RunEnd {
  const { exitCode, reason = '', message = '', finishedAt } = terminated;
  const endedAtMs = finishedAt ? Date.parse(finishedAt) : nowMs;
  // The runtime of the node could not execute it: code and times are made up.
  if (neverBegan.has(reason))
    return { by: 'refused', exitCode: null, signal: null, message, endedAtMs: nowMs };
  const text =
    reason === 'OOMKilled'
      ? `it used more memory than its limit of ${memoryLimitMi} MiB, so it was ended (OOMKilled)`
      : message;
  return { by: 'itself', exitCode, signal: null, message: text.trimEnd(), endedAtMs };
}

const neverBegan = new Set(['StartError', 'ContainerCannotRun', 'RunContainerError']);

function endWithoutProgram({ status }: Pod, endedAtMs: number): RunEnd {
  const { reason = '', message = '' } = status ?? {};
  const why = plainReasons[reason] ?? (reason || 'its node gave it up');
  const text = message ? `${why}: ${message}` : why;
  return { by: 'lost', exitCode: null, signal: null, message: text, endedAtMs };
}

const plainReasons: Readonly<Record<string, string>> = {
  Evicted: 'it was evicted from its node',
  NodeLost: 'its node does not answer',
  Preempting: 'it had to make room for a more important pod',
  Shutdown: 'its node was shut down',
  Terminated: 'its node was shut down',
  NodeShutdown: 'its node was shut down',
  UnexpectedAdmissionError: 'its node did not admit it',
};

/** Waiting for these is of no use. */
const refusals: Readonly<Record<string, string>> = {
  InvalidImageName: 'cannot be an image',
  ErrImageNeverPull: 'is not on the node, and may not be fetched',
  CreateContainerConfigError: 'cannot be started as it is configured',
  CreateContainerError: 'cannot be started',
  RunContainerError: 'cannot be started',
};
/** A registry that says so will say so again; one that does not answer may come back. */
const permanent = /not found|manifest unknown|does not exist|denied|unauthorized|no such image/i;

function refusalOf(pod: Pod, endedAtMs: number): RunEnd | undefined {
  const { reason = '', message = '' } = pod.status?.containerStatuses?.[0]?.state?.waiting ?? {};
  const pulling = reason === 'ErrImagePull' || reason === 'ImagePullBackOff';
  const why = pulling && permanent.test(message) ? 'cannot be fetched' : refusals[reason];
  if (why === undefined) return undefined;
  const text = `image ${imageOf(pod)} ${why}: ${hint(message)}`;
  return { by: 'refused', exitCode: null, signal: null, message: text, endedAtMs };
}

const hint = (message: string): string =>
  /runAsNonRoot|non-root/.test(message)
    ? `${message} (pods run as root only when their template grants it)`
    : message;

const imageOf = (pod: Pod): string => pod.spec.containers[0]?.image ?? '';

/** What it waits for, for people. */
function messageOf(pod: Pod, running: boolean): string | undefined {
  if (conditionOf(pod, 'Ready')?.reason === 'NodeStatusUnknown' || pod.status?.phase === 'Unknown')
    return `its node ${pod.spec.nodeName ?? ''} does not answer`;
  return running ? undefined : waitsFor(pod);
}

function waitsFor(pod: Pod): string {
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status === 'False')
    return `no node can take it: ${scheduled.message ?? scheduled.reason ?? ''}`;
  if (!pod.spec.nodeName) return 'waits for a node';
  const { reason, message } = pod.status?.containerStatuses?.[0]?.state?.waiting ?? {};
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff')
    return `image ${imageOf(pod)} cannot be fetched yet: ${message ?? reason}`;
  return `node ${pod.spec.nodeName} fetches its image and creates it`;
}
