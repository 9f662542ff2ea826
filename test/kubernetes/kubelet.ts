import type { ChildProcess } from 'node:child_process';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { KubernetesApi } from '../../controller/runtime/kubernetes/api.ts';
import { codeOf } from '../../controller/runtime/kubernetes/api.ts';
import { Reflector } from '../../controller/runtime/kubernetes/reflector.ts';
import { accepts, ContainerLog, environmentFor, startProgram } from './container.ts';
import type { KubePod } from './kube-pod.ts';
import { zKubePod } from './kube-pod.ts';
import { LogServer } from './log-server.ts';

/** What a node is told to do wrong with a pod. */
export type Misbehaviour =
  | { readonly kind: 'unschedulable'; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  | { readonly kind: 'terminated'; readonly reason: string; readonly exitCode: number }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string }
  | { readonly kind: 'silent' };

export interface KubeletOptions {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whose pods are its own; all, as of a node that is not a test's, when it is left out. */
  readonly namespace?: string;
  /** Programs of images; an image that is not here cannot be fetched. `[]`: the pod's own command. */
  readonly images: Readonly<Record<string, readonly string[]>>;
  /** Statuses only: no program is started, and every pod is ready at once. */
  readonly statusesOnly?: boolean;
  /** Its clock is behind by so much. */
  readonly behindMs?: number;
  readonly misbehave?: (pod: KubePod) => Misbehaviour | undefined;
}

/** Of nodes that are a part of a test. */
export const ownNodeLabel = 'podgate.test/node';
const nodeName = 'node-1';
const probeMs = 50;

interface Container {
  readonly pod: KubePod;
  readonly log: ContainerLog;
  readonly startedAt: string;
  child: ChildProcess | undefined;
  exited: Promise<void>;
  ended: object | undefined;
  stopping: boolean;
}

/**
 * Scheduler and kubelet of a cluster that has neither: a client of its API server, whichever that
 * is. Pods are processes of this machine, on its loopback address.
 */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #containers = new Map<string, Container>();
  readonly #seen = new Set<string>();
  /** Deleted, maybe before their program began. */
  readonly #doomed = new Set<string>();
  readonly #closed = new AbortController();
  readonly #logs = new LogServer((name) => {
    for (const each of this.#containers.values())
      if (each.pod.metadata.name === name) return each.log;
    return undefined;
  });

  constructor(options: KubeletOptions) {
    this.#options = options;
  }

  /** Registers the node and begins to work. */
  async start(): Promise<void> {
    const port = await this.#logs.listen();
    await this.#registerNode(port);
    const { namespace } = this.#options;
    const within = namespace === undefined ? '' : `/namespaces/${namespace}`;
    const pods = new Reflector(
      { ...this.#options, signal: this.#closed.signal },
      { path: `/api/v1${within}/pods`, query: {} },
      {
        replaced: (objects) => objects.forEach((object) => this.#see(object)),
        changed: (type, object) => (type === 'DELETED' ? this.#forget(object) : this.#see(object)),
      },
    );
    await pods.list();
    void pods.run();
  }

  async stop(): Promise<void> {
    this.#closed.abort();
    for (const { child } of this.#containers.values()) kill(child, 'SIGKILL');
    await Promise.all([...this.#containers.values()].map(({ exited }) => exited));
    await this.#logs.close();
  }

  #now(): string {
    return new Date(Date.now() - (this.#options.behindMs ?? 0)).toISOString();
  }

  async #registerNode(port: number): Promise<void> {
    const { api, namespace } = this.#options;
    const labels = namespace === undefined ? {} : { [ownNodeLabel]: namespace };
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, labels } };
    await quiet(api.call({ method: 'POST', path: '/api/v1/nodes', body: node }));
    await this.#patch(`/api/v1/nodes/${nodeName}/status`, {
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: port } },
        conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' }],
      },
    });
  }

  #see(object: unknown): void {
    const pod = zKubePod.parse(object);
    const { uid, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    const container = this.#containers.get(uid);
    if (deletionTimestamp) {
      if (container) void this.#end(container, deletionGracePeriodSeconds ?? 30);
      else if (pod.spec.nodeName) {
        this.#doomed.add(uid);
        void this.#delete(pod);
      }
      return;
    }
    if (this.#seen.has(uid)) return;
    this.#seen.add(uid);
    void this.#run(pod).catch((error: unknown) => {
      if (!this.#closed.signal.aborted && codeOf(error) !== 404) throw error;
    });
  }

  #forget(object: unknown): void {
    const { uid } = zKubePod.parse(object).metadata;
    this.#doomed.add(uid);
    kill(this.#containers.get(uid)?.child, 'SIGKILL');
    this.#containers.delete(uid);
  }

  async #run(pod: KubePod): Promise<void> {
    if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return;
    const wrong = this.#options.misbehave?.(pod);
    if (wrong?.kind === 'silent') return;
    if (wrong?.kind === 'unschedulable') {
      const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable' };
      await this.#status(pod, { conditions: [{ ...condition, message: wrong.message }] });
      return this.#tell(pod, 'FailedScheduling', wrong.message);
    }
    if (!pod.spec.nodeName) await this.#bind(pod);
    await this.#tell(pod, 'Scheduled', `assigned to ${nodeName}`);
    if (this.#doomed.has(pod.metadata.uid)) return;
    await (wrong ? this.#statusOf(pod, wrong) : this.#create(pod));
  }

  async #create(pod: KubePod): Promise<void> {
    const [container] = pod.spec.containers;
    const program = this.#options.images[container?.image ?? ''];
    if (!program) {
      const message = `failed to pull image "${container?.image}": not found`;
      await this.#tell(pod, 'Failed', message);
      return this.#statusOf(pod, { kind: 'waiting', reason: 'ErrImagePull', message });
    }
    await (this.#options.statusesOnly ? this.#running(pod, true) : this.#launch(pod, program));
  }

  /** Puts a pod into a state, whatever its program does. */
  async #statusOf(pod: KubePod, wrong: Misbehaviour): Promise<void> {
    const now = this.#now();
    if (wrong.kind === 'waiting') {
      const { reason, message } = wrong;
      await this.#containerStatus(pod, 'Pending', { waiting: { reason, message } });
    } else if (wrong.kind === 'terminated') {
      const { reason, exitCode } = wrong;
      const terminated = { reason, exitCode, startedAt: now, finishedAt: now };
      await this.#containerStatus(pod, 'Failed', { terminated });
    } else if (wrong.kind === 'failed') {
      await this.#status(pod, { phase: 'Failed', reason: wrong.reason, message: wrong.message });
    }
  }

  async #launch(pod: KubePod, program: readonly string[]): Promise<void> {
    const environment = await environmentFor(pod, (name) => this.#secret(pod, name));
    const log = new ContainerLog(this.#options.behindMs ?? 0);
    const startedAt = this.#now();
    const child = await startProgram(pod, program, environment, log);
    if (typeof child === 'string') {
      const made = { exitCode: 128, reason: 'StartError', message: child };
      const terminated = { ...made, startedAt, finishedAt: startedAt };
      return this.#containerStatus(pod, 'Failed', { terminated });
    }
    if (this.#doomed.has(pod.metadata.uid)) return killGroup(child.pid);
    const gone = Promise.withResolvers<void>();
    const container: Container = {
      pod,
      log,
      startedAt,
      child,
      exited: gone.promise,
      ended: undefined,
      stopping: false,
    };
    this.#containers.set(pod.metadata.uid, container);
    // A container ends with its first process.
    child.once('exit', () => killGroup(child.pid));
    child.once('close', (code, signal) => {
      log.end();
      gone.resolve();
      if (!this.#closed.signal.aborted)
        void quiet(this.#exited(container, code ?? (signal === 'SIGTERM' ? 143 : 137)));
    });
    await this.#running(pod, false, startedAt);
    await this.#probe(container);
  }

  async #exited(container: Container, exitCode: number): Promise<void> {
    const { pod, startedAt, log } = container;
    const finishedAt = this.#now();
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    const message = exitCode === 0 ? '' : log.tail();
    const terminated = { exitCode, reason, message, startedAt, finishedAt };
    container.ended = terminated;
    await this.#containerStatus(pod, exitCode === 0 ? 'Succeeded' : 'Failed', { terminated });
    if (container.stopping) await this.#delete(pod);
  }

  async #probe(container: Container): Promise<void> {
    const { pod } = container;
    const [spec] = pod.spec.containers;
    const port = spec?.readinessProbe?.tcpSocket?.port;
    const listens = async (): Promise<boolean> => port === undefined || accepts(port);
    while (!container.ended && !this.#closed.signal.aborted && !(await listens()))
      await this.#options.clock.sleep(probeMs);
    if (!container.ended) await this.#running(pod, true, container.startedAt);
  }

  async #end(container: Container, graceSeconds: number): Promise<void> {
    if (container.ended) return this.#delete(container.pod);
    if (container.stopping) return;
    container.stopping = true;
    kill(container.child, 'SIGTERM');
    const { exited } = container;
    const late = this.#options.clock.sleep(graceSeconds * 1_000).then(() => 'late');
    if ((await Promise.race([exited, late])) === 'late') kill(container.child, 'SIGKILL');
  }

  /** Says that nothing is left of the pod on this node. */
  async #delete({ metadata: { namespace, name, uid } }: KubePod): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      gracePeriodSeconds: 0,
      preconditions: { uid },
    };
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    await quiet(this.#options.api.call({ method: 'DELETE', path, body }));
  }

  async #bind({ metadata: { namespace, name } }: KubePod): Promise<void> {
    const binding = this.#options.api.call({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/pods/${name}/binding`,
      body: {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace },
        target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
      },
    });
    // It may be on its way out by now.
    await quiet(binding);
  }

  async #running(pod: KubePod, ready: boolean, startedAt = this.#now()) {
    await this.#containerStatus(pod, 'Running', { running: { startedAt } }, ready);
  }

  async #containerStatus(pod: KubePod, phase: string, state: object, ready = false) {
    const [container] = pod.spec.containers;
    const { name = '', image = '' } = container ?? {};
    const begun = phase !== 'Pending';
    await this.#status(pod, {
      phase,
      ...(begun ? { podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] } : {}),
      conditions: [
        { type: 'PodScheduled', status: 'True' },
        { type: 'Ready', status: ready ? 'True' : 'False' },
      ],
      containerStatuses: [{ name, image, imageID: '', ready, restartCount: 0, state }],
    });
  }

  async #status({ metadata: { namespace, name, uid } }: KubePod, status: object): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
    await quiet(this.#patch(path, { metadata: { uid }, status }));
  }

  async #patch(path: string, body: object): Promise<void> {
    const contentType = 'application/strategic-merge-patch+json';
    await this.#options.api.call({ method: 'PATCH', path, contentType, body });
  }

  async #tell({ metadata }: KubePod, reason: string, message: string): Promise<void> {
    const { namespace, name, uid } = metadata;
    const now = this.#now();
    const id = this.#options.random.bytes(6).toString('hex');
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${id}`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
      reason,
      message,
      type: reason.startsWith('Fail') ? 'Warning' : 'Normal',
      source: { component: 'kubelet', host: nodeName },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    const path = `/api/v1/namespaces/${namespace}/events`;
    await quiet(this.#options.api.call({ method: 'POST', path, body }));
  }

  async #secret({ metadata: { namespace } }: KubePod, name: string): Promise<unknown> {
    const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
    return this.#options.api.call({ method: 'GET', path });
  }
}

function kill(child: ChildProcess | undefined, signal: NodeJS.Signals): void {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  if (signal === 'SIGKILL') killGroup(child.pid);
  else child.kill(signal);
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}

/** Of what is gone nothing can be said. */
const quiet = (call: Promise<unknown>): Promise<unknown> => call.catch(() => undefined);
