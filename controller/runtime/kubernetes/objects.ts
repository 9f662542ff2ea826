import { z } from 'zod';
import { RunInProgress } from '../runtime.ts';
import type { RunSpec } from '../runtime.ts';
import type { ApiRequest, KubernetesApi } from './api.ts';
import { ApiError, codeOf, fieldManager } from './api.ts';
import type { Manifests } from './manifests.ts';
import { manifestsOf } from './manifests.ts';
import type { Naming } from './names.ts';
import { annotationOf, readAnnotation, runAnnotation } from './names.ts';
import type { Pod } from './pod-state.ts';
import { zPod } from './pod-state.ts';

/** The spec cannot be run here; the message is for the pod's owner. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

interface Manifest {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
}

const gonePollMs = 100;
const goneMs = 30_000;

/**
 * Makes and deletes the objects of pods, and never one that is not ours. Making them is patient: a burst of
 * launches must not hold up ends, nor looks at what runs.
 */
export class PodObjects {
  readonly #api: KubernetesApi;
  readonly #naming: Naming;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #namespaces = new Set<string>();

  constructor(api: KubernetesApi, naming: Naming, sleep: (ms: number) => Promise<void>) {
    this.#api = api;
    this.#naming = naming;
    this.#sleep = sleep;
  }

  /** Throws `Refused`, `RunInProgress`, and `RuntimeUnavailable`. */
  async create(spec: RunSpec): Promise<Pod> {
    const made = manifestsOf(spec, this.#naming);
    try {
      await this.#ensureNamespace(spec.tenant);
      await Promise.all(companionsOf(made).map((manifest) => this.#apply(manifest)));
      return await this.#createPod(spec, made);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new Refused(`Kubernetes refused it: ${error.message}`, { cause: error });
    }
  }

  /** Asks for the end of this very Pod; false: it is gone already. */
  async delete(pod: Pod, graceSeconds: number): Promise<boolean> {
    const { uid } = pod.metadata;
    try {
      await this.#api.call({
        method: 'DELETE',
        path: podPath(pod),
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          gracePeriodSeconds: graceSeconds,
          preconditions: { uid },
        },
      });
      return true;
    } catch (error) {
      // Another Pod has the name by now: ours is gone.
      if (codeOf(error) === 404 || codeOf(error) === 409) return false;
      throw error;
    }
  }

  /** Deletes a Pod whose program has ended, and waits until its name is free. */
  async clear(pod: Pod): Promise<void> {
    if (!(await this.delete(pod, 0))) return;
    for (let waitedMs = 0; waitedMs < goneMs; waitedMs += gonePollMs) {
      const found = await this.#get(podPath(pod));
      if (found === undefined || zPod.parse(found).metadata.uid !== pod.metadata.uid) return;
      await this.#sleep(gonePollMs);
    }
    throw new RunInProgress(`Pod ${pod.metadata.name} is still being deleted`);
  }

  /** Deletes everything of a pod but the Pod itself. */
  async deleteCompanions(key: string): Promise<void> {
    const namespace = this.#naming.namespaceOf(key.slice(0, key.indexOf('/')));
    const query = { labelSelector: this.#naming.selector(key) };
    const base = `/namespaces/${namespace}`;
    const collections = [
      `/api/v1${base}/secrets`,
      `/api/v1${base}/services`,
      `/apis/networking.k8s.io/v1${base}/networkpolicies`,
    ];
    await Promise.all(collections.map((path) => this.#api.call({ method: 'DELETE', path, query })));
  }

  async #createPod(spec: RunSpec, { pod }: Manifests): Promise<Pod> {
    const path = collectionPath(pod);
    const query = { fieldManager, fieldValidation: 'Strict' };
    // Created rather than applied: of two controllers one must fail.
    const post: ApiRequest = { method: 'POST', path, query, body: pod, patient: true };
    try {
      return zPod.parse(await this.#api.call(post));
    } catch (error) {
      if (codeOf(error) !== 409) throw error;
    }
    const found = await this.#get(`${path}/${pod.metadata?.name ?? ''}`);
    if (found === undefined) throw new RunInProgress(`a Pod of ${spec.key} was just deleted`);
    const there = zPod.parse(found);
    const { labels, annotations } = there.metadata;
    if (!this.#naming.isOurs(labels)) throw new Refused(foreign('Pod', pod.metadata?.name));
    const known = readAnnotation(annotations?.[runAnnotation]);
    const wanted = annotationOf(spec);
    if (known?.run === wanted.run && known.podCreatedAtMs === wanted.podCreatedAtMs) return there;
    throw new RunInProgress(`run ${known?.run ?? '?'} of ${spec.key} has a Pod`);
  }

  async #ensureNamespace(tenant: string): Promise<void> {
    if (!this.#naming.namespacePerTenant) return;
    const name = this.#naming.namespaceOf(tenant);
    if (this.#namespaces.has(name)) return;
    const labels = {
      ...this.#naming.ownLabels(),
      'pod-security.kubernetes.io/enforce': 'baseline',
    };
    const metadata = { name, labels };
    await this.#apply({ apiVersion: 'v1', kind: 'Namespace', metadata });
    this.#namespaces.add(name);
  }

  /** Server-side apply of what is ours, or not there. */
  async #apply(manifest: Manifest): Promise<void> {
    const { kind, metadata } = manifest;
    const path = `${collectionPath(manifest)}/${metadata?.name ?? ''}`;
    const patient = true;
    const found = await this.#get(path, patient);
    if (found !== undefined && !this.#naming.isOurs(labelsOf(found)))
      throw new Refused(foreign(kind ?? '', metadata?.name));
    await this.#api.call({
      method: 'PATCH',
      path,
      query: { fieldManager, force: 'true', fieldValidation: 'Strict' },
      contentType: 'application/apply-patch+yaml',
      body: manifest,
      patient,
    });
  }

  async #get(path: string, patient = false): Promise<unknown> {
    try {
      return await this.#api.call({ method: 'GET', path, patient });
    } catch (error) {
      if (codeOf(error) === 404) return undefined;
      throw error;
    }
  }
}

const companionsOf = ({ secret, pullSecret, policy, service }: Manifests): Manifest[] =>
  [secret, pullSecret, policy, service].filter((manifest) => manifest !== undefined);

const foreign = (kind: string, name = ''): string =>
  `there is a ${kind} ${name} that is not Podgate's: rename or delete it`;

const plurals: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  NetworkPolicy: 'networkpolicies',
  Pod: 'pods',
  Secret: 'secrets',
  Service: 'services',
};

function collectionPath({ apiVersion = 'v1', kind = '', metadata }: Manifest): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = metadata?.namespace ? `/namespaces/${metadata.namespace}` : '';
  return `${group}${within}/${plurals[kind] ?? ''}`;
}

const podPath = ({ metadata: { namespace, name } }: Pod): string =>
  `/api/v1/namespaces/${namespace}/pods/${name}`;

function labelsOf(object: unknown): Record<string, string> | undefined {
  const parsed = zLabelled.safeParse(object);
  return parsed.data?.metadata.labels;
}

const zLabelled = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()).optional() }),
});
