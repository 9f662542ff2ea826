import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { RunSpec } from '../runtime.ts';

/** What Podgate writes on everything that it makes in an engine; it touches nothing without. */
const prefix = 'io.podgate.';
const installationLabel = `${prefix}installation`;
const runLabel = `${prefix}run`;

const zRunLabel = z.strictObject({
  key: z.string(),
  run: z.int(),
  podCreatedAtMs: z.number(),
  networks: z.array(
    z.strictObject({
      name: z.string(),
      protocol: z.enum(['http', 'tcp', 'postgres', 'local_only']),
      port: z.int(),
    }),
  ),
  memoryLimitMi: z.int(),
});
/** What must be known of a run to take it over from its container alone. */
export type RunLabel = z.infer<typeof zRunLabel>;

export const runLabelOf = (spec: RunSpec): RunLabel => ({
  key: spec.key,
  run: spec.run,
  podCreatedAtMs: spec.podCreatedAtMs,
  networks: spec.networks.map(({ name, protocol, port }) => ({ name, protocol, port })),
  memoryLimitMi: spec.resources.memoryLimitMi,
});

/** Of networks, and the base of those of containers. */
export const ownLabels = (installation: string): Record<string, string> => ({
  [installationLabel]: installation,
});

export const containerLabels = (installation: string, label: RunLabel): Record<string, string> => ({
  ...ownLabels(installation),
  [runLabel]: JSON.stringify(label),
});

/** Matches what this installation has made, as the engine's filters are written. */
export const ownFilter = (installation: string): { label: string[] } => ({
  label: [`${installationLabel}=${installation}`],
});

/** Undefined for what has no label that we can read: it is left alone. */
export function readRunLabel(labels: Readonly<Record<string, string>>): RunLabel | undefined {
  try {
    return zRunLabel.safeParse(JSON.parse(labels[runLabel] ?? '')).data;
  } catch {
    return undefined;
  }
}

/** Engines allow `[a-zA-Z0-9_.-]`; the hash keeps installations and long tenants apart. */
export function containerName(installation: string, { key, run }: RunLabel): string {
  return `podgate-${key.replace('/', '-').slice(0, 100)}-${run}-${digest(`${installation} ${key}`)}`;
}

export const networkName = (installation: string, tenant: string): string =>
  `podgate-${tenant.slice(0, 40)}-${digest(`${installation} ${tenant}`)}`;

const digest = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 10);
