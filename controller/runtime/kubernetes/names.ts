import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { RunSpec } from '../runtime.ts';

/** What Podgate writes on everything that it makes in a cluster; it touches nothing without. */
const managedBy = 'app.kubernetes.io/managed-by';
const installationLabel = 'podgate.io/installation';
export const keyLabel = 'podgate.io/key';
export const tenantLabel = 'podgate.io/tenant';
export const runAnnotation = 'podgate.io/run';
/** Pods with this label, in namespaces that have it too, may reach all that is routed. */
export const systemLabel = 'podgate.io/system';

export const gpuResource = 'nvidia.com/gpu';

/** Labels have at most 63 characters, and not all; a digest fits whatever was in the text. */
export const digest = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 16);

export const zNetworks = z.array(
  z.strictObject({
    name: z.string(),
    protocol: z.enum(['http', 'tcp', 'postgres', 'local_only']),
    port: z.int(),
  }),
);

const zRunNote = z.strictObject({
  key: z.string(),
  run: z.int(),
  podCreatedAtMs: z.number(),
  networks: zNetworks,
  memoryLimitMi: z.int(),
});
/** What must be known of a run to take it over from its Pod alone; an annotation of that. */
export type RunAnnotation = z.infer<typeof zRunNote>;

export const annotationOf = (spec: RunSpec): RunAnnotation => ({
  key: spec.key,
  run: spec.run,
  podCreatedAtMs: spec.podCreatedAtMs,
  networks: spec.networks.map(({ name, protocol, port }) => ({ name, protocol, port })),
  memoryLimitMi: spec.resources.memoryLimitMi,
});

/** Undefined for what we cannot read: it is left alone. */
export function readAnnotation(text: string | undefined): RunAnnotation | undefined {
  try {
    return zRunNote.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined;
  }
}

/** How one Podgate names things in a cluster that it shares with others. */
export class Naming {
  readonly #installation: string;
  readonly #namespace: string;

  /**
   * `installation` is free text that no other Podgate of the cluster has. `namespace` may hold
   * `{tenant}`: then each tenant has one of its own.
   */
  constructor(installation: string, namespace: string) {
    this.#installation = digest(installation);
    this.#namespace = namespace;
  }

  get namespacePerTenant(): boolean {
    return this.#namespace.includes('{tenant}');
  }

  /** The one namespace of all; of namespaces per tenant, undefined. */
  get sharedNamespace(): string | undefined {
    return this.namespacePerTenant ? undefined : this.#namespace;
  }

  namespaceOf(tenant: string): string {
    if (!this.namespacePerTenant) return this.#namespace;
    const named = this.#namespace.replaceAll('{tenant}', tenant);
    return isLabel(named) ? named : this.#readable(tenant, `tenant ${tenant}`);
  }

  /** Of all objects of a pod: at most 63 characters, a letter first, the same for every run. */
  objectName(key: string): string {
    return this.#readable(key.slice(key.indexOf('/') + 1), key);
  }

  /** What other pods call it: its id, where no other tenant can have the same. */
  serviceName(key: string, podId: string): string {
    return this.namespacePerTenant ? podId : this.objectName(key);
  }

  labels(key: string, tenant: string): Record<string, string> {
    return { ...this.ownLabels(), [keyLabel]: digest(key), [tenantLabel]: digest(tenant) };
  }

  ownLabels(): Record<string, string> {
    return { [managedBy]: 'podgate', [installationLabel]: this.#installation };
  }

  /** Selects all that is ours; of one pod, when its key is given. */
  selector(key?: string): string {
    const labels = { ...this.ownLabels(), ...(key ? { [keyLabel]: digest(key) } : {}) };
    return Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(',');
  }

  isOurs(labels: Readonly<Record<string, string>> | undefined): boolean {
    return Object.entries(this.ownLabels()).every(([name, value]) => labels?.[name] === value);
  }

  #readable(text: string, unique: string): string {
    const words = text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
    const slug = words.slice(0, 40).replaceAll(/^[^a-z]+|-+$/g, '') || 'pod';
    return `${slug}-${digest(`${this.#installation} ${unique}`)}`;
  }
}

/** RFC 1123, as the API server demands of namespaces. */
const isLabel = (text: string): boolean =>
  text.length <= 63 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text);
