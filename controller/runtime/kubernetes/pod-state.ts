import { z } from 'zod';
import type { RunEnd } from '../runtime.ts';
import { disruptionOf } from './disruption.ts';
import { gpuResource } from './names.ts';

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
  const began = beganMs(pod);
  const startedAtMs =
    began === undefined ? Date.parse(metadata.creationTimestamp) : began + behindMs(pod);
  const end = endOf(pod, terms);
  if (end) return { phase: 'exited', startedAtMs, ready: false, message: undefined, end };
  const running = state.running !== undefined;
  const ready =
    running && container?.ready === true && conditionOf(pod, 'Ready')?.status === 'True';
  const phase = running ? 'running' : 'starting';
  return { phase, startedAtMs, ready, message: messageOf(pod, running), end: undefined };
}

function beganMs({ status }: Pod): number | undefined {
  const { terminated, running } = status?.containerStatuses?.[0]?.state ?? {};
  const began = terminated?.startedAt ?? running?.startedAt;
  return began ? Date.parse(began) : undefined;
}

/**
 * By how much the clock of its node is behind at least, for no program begins before its Pod was made, which
 * is of the API server's clock. What would be a day is a time that was made up.
 */
export function behindMs(pod: Pod): number {
  const createdMs = Date.parse(pod.metadata.creationTimestamp);
  const behind = Math.max(0, createdMs - (beganMs(pod) ?? createdMs));
  return behind < behindMsMax ? behind : 0;
}
const behindMsMax = 24 * 60 * 60 * 1_000;

const conditionOf = (pod: Pod, type: string) =>
  pod.status?.conditions?.find((condition) => condition.type === type);

function endOf(pod: Pod, { memoryLimitMi, nowMs }: Terms): RunEnd | undefined {
  const { phase, reason = '', containerStatuses } = pod.status ?? {};
  const terminated = containerStatuses?.[0]?.state?.terminated;
  const failed = phase === 'Failed';
  if (failed && reason in movedReasons) return endByNode(pod, nowMs);
  if (reason === 'Evicted' || reason === 'NodeLost' || (failed && !terminated))
    return endWithoutProgram(pod, nowMs);
  if (terminated) return endOfProgram(terminated, { memoryLimitMi, nowMs }, behindMs(pod));
  return refusalOf(pod, nowMs);
}

function endOfProgram(
  terminated: z.infer<typeof zTerminated>,
  { memoryLimitMi, nowMs }: Terms,
  behind: number,
): RunEnd {
  const { exitCode, reason = '', message = '', finishedAt } = terminated;
  const endedAtMs = finishedAt ? Date.parse(finishedAt) + behind : nowMs;
  // The runtime of the node could not execute it: code and times are made up.
  if (neverBegan.has(reason))
    return { by: 'refused', exitCode: null, signal: null, message, endedAtMs: nowMs };
  const text =
    reason === 'OOMKilled'
      ? `It used more memory than its limit of ${memoryLimitMi} MiB, so it was ended (OOMKilled).`
      : message;
  return { by: 'itself', exitCode, signal: null, message: text.trimEnd(), endedAtMs };
}

const neverBegan = new Set(['StartError', 'ContainerCannotRun', 'RunContainerError']);

/** A node had to give up what ran well: no failure of the pod, and another node may take it. */
function endByNode({ status }: Pod, endedAtMs: number): RunEnd {
  const { reason = '', message: said } = status ?? {};
  const why = movedReasons[reason] ?? '';
  const message = said ? `${why} (${said})` : why;
  return { by: 'lost', exitCode: null, signal: null, message, endedAtMs };
}

const movedReasons: Readonly<Record<string, string>> = {
  Preempting: 'it had to make room for a more important pod',
  Shutdown: 'its node was shut down',
  Terminated: 'its node was shut down',
};

/** A failure like others, so that what nodes refuse again and again is not tried for ever. */
function endWithoutProgram({ status }: Pod, endedAtMs: number): RunEnd {
  const { reason = '', message = '' } = status ?? {};
  const why = plainReasons[reason] ?? `Its node gave it up${reason && ` (${reason})`}`;
  const text = message ? `${why}: ${message}` : `${why}.`;
  return { by: 'itself', exitCode: null, signal: null, message: text, endedAtMs };
}

const plainReasons: Readonly<Record<string, string>> = {
  Evicted: 'It was evicted from its node',
  NodeLost: 'Its node does not answer',
  NodeShutdown: 'Its node was shut down',
  UnexpectedAdmissionError: 'Its node did not admit it',
};

/** Waiting for these is of no use. */
const refusals: Readonly<Record<string, string>> = {
  InvalidImageName: 'cannot be an image',
  ErrImageNeverPull: 'is not on the node, and may not be fetched',
  CreateContainerConfigError: 'cannot be started as it is configured',
  CreateContainerError: 'cannot be started',
  RunContainerError: 'cannot be started',
};
/** A registry that says so, or has no such name, will not say another; one that does not answer may come back. */
const permanent =
  /not found|manifest unknown|does not exist|denied|unauthorized|forbidden|no such (?:image|host)/i;

function refusalOf(pod: Pod, endedAtMs: number): RunEnd | undefined {
  const { reason = '', message = '' } = pod.status?.containerStatuses?.[0]?.state?.waiting ?? {};
  const pulling = reason === 'ErrImagePull' || reason === 'ImagePullBackOff';
  const why = pulling && permanent.test(message) ? 'cannot be fetched' : refusals[reason];
  if (why === undefined) return undefined;
  const text = `Image ${imageOf(pod)} ${why}: ${hint(message)}`;
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
    return `Its node ${pod.spec.nodeName ?? ''} does not answer.`;
  const disruption = pod.metadata.deletionTimestamp && disruptionOf(pod);
  if (disruption) return `It ends and starts anew: ${disruption}.`;
  return running ? undefined : waitsFor(pod);
}

function waitsFor(pod: Pod): string {
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status === 'False')
    return unschedulable(scheduled.message ?? scheduled.reason ?? '');
  if (!pod.spec.nodeName) return 'It waits for a node.';
  const { reason, message } = pod.status?.containerStatuses?.[0]?.state?.waiting ?? {};
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff')
    return `Image ${imageOf(pod)} cannot be fetched yet: ${message ?? reason}`;
  return `Node ${pod.spec.nodeName} fetches its image and creates it.`;
}

/** What the scheduler says, after what that means; not what it thought of to make room. */
function unschedulable(message: string): string {
  const said = message.replace(/\s*preemption:.*$/s, '');
  const names = [...said.matchAll(/Insufficient ([\w./-]+\w)/g)].map(([, name = '']) => name);
  const short = [...new Set(names)].map((name) => plainResources[name] ?? name);
  if (short.length > 0) return `No node has enough ${short.join(' and ')} left for it: ${said}`;
  // Nothing else in our Pods asks for certain nodes.
  if (/affinity|selector/.test(said))
    return `No node that can take it is of its compute queue: ${said}`;
  return `No node can take it: ${said}`;
}

const plainResources: Readonly<Record<string, string>> = {
  cpu: 'CPU',
  [gpuResource]: 'GPUs',
  'ephemeral-storage': 'disk space',
};
