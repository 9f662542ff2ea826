import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { createKubernetesRuntime } from '../../controller/runtime/kubernetes/runtime.ts';
import { runtimeConforms } from '../conformance/runtime.ts';
import { ApiServer, configFor } from '../kubernetes/api-server.ts';
import { ApiDouble } from '../kubernetes/api-double.ts';
import {
  apiOf,
  clusterPlace,
  hasNodes,
  kubeletKind,
  nodesKind,
  ports,
} from '../kubernetes/conformance.ts';
import { apiServerBehaves } from '../kubernetes/contract.ts';
import type { Manifest } from '../kubernetes/deployed.ts';
import { apply, kustomize, natsUsers, readManifests, tokenOf } from '../kubernetes/deployed.ts';
import { Kubelet } from '../kubernetes/kubelet.ts';
import { isObject } from '../kubernetes/schema.ts';
import { available } from '../programs/run.ts';

/**
 * With `KUBECONFIG` any cluster, with nodes or with nothing but an API server; else an API server of our
 * own. Ours with a kubelet is in `kubelet.test.ts`.
 */
const file = process.env['KUBECONFIG'];
const given = new KubeConfig();
if (file) given.loadFromFile(file);
const own = file
  ? undefined
  : await available('pods on a real API server of Kubernetes', () => ApiServer.start());
const built = await available('kustomize', kustomize);
const admin = own?.config ?? given;
const api = apiOf(admin);

afterAll(() => own?.stop());

const namespace = 'podgate-pods';
const account = { kind: 'ServiceAccount', name: 'podgate-controller', namespace: 'podgate' };
const shipped = readManifests();
const kindOf = (kind: string): Manifest[] => shipped.filter((object) => object['kind'] === kind);
const role = kindOf('Role')[0] ?? {};
const rules = Array.isArray(role['rules']) ? role['rules'].filter(isObject) : [];

/** As the controller is in a cluster with our manifests. */
async function controller(): Promise<KubeConfig> {
  const server = admin.getCurrentCluster()?.server ?? '';
  return configFor(server, await tokenOf(api, account.namespace, account.name));
}

test.skipIf(!built)('kustomize builds what is in the files', async () => {
  const objects = (await built?.()) ?? [];
  // The file of NATS becomes an object whose name follows what is in it.
  const users = objects.find((object) => nameOf(object).startsWith('ConfigMap podgate-nats-'));
  const name = nameOf(users ?? {}).split(' ')[1] ?? '';
  expect(users?.['data']).toEqual({ 'podgate.conf': natsUsers });
  const others = JSON.stringify(objects.filter((object) => object !== users));
  const asWritten = JSON.parse(others.replaceAll(name, 'podgate-nats')) as Manifest[];
  expect(sorted(asWritten)).toEqual(sorted(shipped));
});

const sorted = (objects: readonly Manifest[]): Manifest[] =>
  objects.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

const nameOf = ({ kind, metadata }: Manifest): string =>
  `${String(kind)} ${String(isObject(metadata) && metadata['name'])}`;

describe.skipIf(!own)('our manifests on a real API server', () => {
  test('are all taken, as they are and once more', async () => {
    const objects = (await built?.()) ?? shipped;
    for (const object of objects.toSorted((a, b) => rank(a) - rank(b))) await apply(api, object);
    for (const object of objects) await apply(api, object);
  });

  test('have Pods that the security level of their namespace admits', async () => {
    const workloads = [...kindOf('Deployment'), ...kindOf('StatefulSet')];
    expect(workloads).toHaveLength(6);
    for (const workload of workloads) {
      const path = '/api/v1/namespaces/podgate/pods';
      await api.call({ method: 'POST', path, query: { dryRun: 'All' }, body: firstPod(workload) });
    }
  });

  test('give the controller all it needs, and without one right it is told which', async () => {
    const terms = { ...ports, config: await controller(), namespace, installation: 'test' };
    const dataDir = '/nonexistent';
    for (const verb of ['delete', 'watch']) {
      const [first, ...others] = rules;
      const verbs = Array.isArray(first?.['verbs']) ? first['verbs'].map(String) : [];
      const less = { ...first, verbs: verbs.filter((each) => each !== verb) };
      await apply(api, { ...role, rules: [less, ...others] });
      const missing = `Kubernetes does not let us ${verb} pods in namespace ${namespace}`;
      await vi.waitFor(
        () => expect(createKubernetesRuntime({ ...terms, dataDir })).rejects.toThrow(missing),
        { timeout: 20_000, interval: 100 },
      );
    }
    await apply(api, role);
  });

  test('let nobody else do anything', async () => {
    const stranger = apiOf(configFor(admin.getCurrentCluster()?.server ?? '', 'weak-token'));
    const path = `/api/v1/namespaces/${namespace}/pods`;
    await expect(stranger.call({ method: 'GET', path })).rejects.toThrow('forbidden');
    const limited = apiOf(await controller());
    const secrets = `/api/v1/namespaces/podgate/secrets`;
    await expect(limited.call({ method: 'GET', path: secrets })).rejects.toThrow('forbidden');
  });

  runtimeConforms('runtime kubernetes with the rights of our role', kubeletKind, async () =>
    clusterPlace(admin, { as: await controller(), namespaces: namespace }),
  );
});

describe.skipIf(!own)('what is taken for granted', () => {
  apiServerBehaves('a real API server', () => admin);
});

describe.skipIf(!own)('a namespace for each tenant on a real API server', () => {
  runtimeConforms('runtime kubernetes', kubeletKind, async () => {
    const meta = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'podgate' } };
    const more = { apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'create', 'patch'] };
    await apply(api, { ...meta, kind: 'ClusterRole', rules: [...rules, more] });
    const roleRef = {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'podgate',
    };
    await apply(api, { ...meta, kind: 'ClusterRoleBinding', roleRef, subjects: [account] });
    return clusterPlace(admin, { as: await controller(), namespaces: 'podgate-{test}-{tenant}' });
  });
});

/** As kubectl does, what others are in comes first. */
const rank = ({ kind }: Manifest): number => (kind === 'Namespace' ? 0 : 1);

/** As the controller of a Deployment or StatefulSet makes it. */
function firstPod({ metadata, spec }: Manifest): Manifest {
  const { template, volumeClaimTemplates } = zWorkload.parse(spec);
  const name = `${String(isObject(metadata) && metadata['name'])}-0`;
  const claimed = volumeClaimTemplates.map((claim) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: claim.metadata.name },
  }));
  const volumes = [...template.spec.volumes, ...claimed];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { ...template.spec, volumes } };
}

const zWorkload = z.object({
  template: z.object({ spec: z.looseObject({ volumes: z.array(z.unknown()).default([]) }) }),
  volumeClaimTemplates: z.array(z.object({ metadata: z.object({ name: z.string() }) })).default([]),
});

/** Whose node runs pods is found out, not said: with nodes of its own a cluster needs an image. */
describe.skipIf(!file)('on a cluster that is given', async () => {
  if (!file) return;
  const theirs = await hasNodes(api);
  const kind = theirs ? nodesKind(process.env) : kubeletKind;
  runtimeConforms('runtime kubernetes', kind, () => clusterPlace(given, { theirs }));
});

test.skipIf(file)('a cluster with nodes of its own is told from one without', async () => {
  const double = await ApiDouble.start();
  const config = double.config();
  const kubelet = new Kubelet({ ...ports, api: apiOf(config), images: {} });
  try {
    expect(await hasNodes(apiOf(config))).toBe(false);
    const place = await clusterPlace(config);
    expect(await hasNodes(apiOf(config))).toBe(false);
    await place.clean();
    await apiOf(config).call({ method: 'DELETE', path: '/api/v1/nodes/node-1' });
    await kubelet.start();
    expect(await hasNodes(apiOf(config))).toBe(true);
  } finally {
    await kubelet.stop();
    await double.stop();
  }
});
