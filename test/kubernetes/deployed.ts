import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { KubernetesApi } from '../../controller/runtime/kubernetes/api.ts';
import { root } from '../integration/standalone.ts';
import { goProgram } from '../programs/go.ts';
import { run } from '../programs/run.ts';
import { isObject } from './schema.ts';

/** The manifests that we ship. */
const manifests = join(root, 'deploy', 'kubernetes');

/** The file of NATS that goes with them. */
export const natsUsers = readFileSync(join(root, 'deploy/nats/podgate.conf'), 'utf8');

export type Manifest = Record<string, unknown>;

const objectsIn = (yaml: string): Manifest[] =>
  parseAllDocuments(yaml)
    .map((document): unknown => document.toJS())
    .filter(isObject);

/** As the files have them. */
export const readManifests = (): Manifest[] =>
  readdirSync(manifests)
    .filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml')
    .flatMap((file) => objectsIn(readFileSync(join(manifests, file), 'utf8')));

/** As `kustomize build` makes them; it is built from source, and `Unavailable` where that is impossible. */
export async function kustomize(): Promise<() => Promise<Manifest[]>> {
  const program = await goProgram(
    'kustomize',
    join(import.meta.dirname, 'kustomize'),
    'sigs.k8s.io/kustomize/kustomize/v5',
  );
  return async () => {
    const { code, out, err } = await run([program, 'build', manifests]);
    if (code !== 0 || err !== '') throw new Error(`kustomize ended with ${code}: ${err}`);
    return objectsIn(out);
  };
}

const zObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
const zResources = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});

/** Server-side apply, as `kubectl apply --server-side` does it; throws what the server refuses. */
export async function apply(api: KubernetesApi, manifest: Manifest): Promise<void> {
  const { apiVersion, kind, metadata } = zObject.parse(manifest);
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { resources } = zResources.parse(await api.call({ method: 'GET', path: group }));
  const resource = resources.find(({ kind: of, name }) => of === kind && !name.includes('/'));
  if (!resource) throw new Error(`${apiVersion} has no ${kind}`);
  const within = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
  await api.call({
    method: 'PATCH',
    path: `${group}${within}/${resource.name}/${metadata.name}`,
    query: { fieldManager: 'kubectl', force: 'true', fieldValidation: 'Strict' },
    contentType: 'application/apply-patch+yaml',
    body: manifest,
  });
}

const zToken = z.object({ status: z.object({ token: z.string() }) });

/** What a Pod of this service account finds in its file. */
export async function tokenOf(
  api: KubernetesApi,
  namespace: string,
  account: string,
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
  const spec = { expirationSeconds: 3_600, audiences: [] };
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  return zToken.parse(await api.call({ method: 'POST', path, body })).status.token;
}
