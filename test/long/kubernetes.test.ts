import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { createKubernetesRuntime } from '../../controller/runtime/kubernetes/runtime.ts';
import { runtimeConforms } from '../conformance/runtime.ts';
import { ApiServer, configFor } from '../kubernetes/api-server.ts';
import { apiOf, clusterPlace, kubeletKind, ports } from '../kubernetes/conformance.ts';
import { apiServerBehaves } from '../kubernetes/contract.ts';
import type { Manifest } from '../kubernetes/deployed.ts';
import { apply, kustomize, readManifests, tokenOf } from '../kubernetes/deployed.ts';
import { isObject } from '../kubernetes/schema.ts';
import { available } from '../programs/run.ts';

/** With `KUBECONFIG`: any API server that has no scheduler and no nodes; else one of our own. */
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
  const names = (objects: readonly Manifest[]) =>
    objects.map(({ kind, metadata }) => `${String(kind)} ${JSON.stringify(metadata)}`).toSorted();
  expect(names((await built?.()) ?? [])).toEqual(names(shipped));
});

describe.skipIf(!own)('our manifests on a real API server', () => {
  test('are all taken, as they are and once more', async () => {
    const objects = (await built?.()) ?? shipped;
    const first = (kind: string) => (object: Manifest) => (object['kind'] === kind ? 0 : 1);
    const order = first('Namespace');
    for (const object of objects.toSorted((a, b) => order(a) - order(b))) await apply(api, object);
    for (const object of objects) await apply(api, object);
  });

  test('have Pods that the security level of their namespace admits', async () => {
    const workloads = [...kindOf('Deployment'), ...kindOf('StatefulSet')];
    expect(workloads).toHaveLength(6);
    for (const { metadata, spec } of workloads) {
      const template = isObject(spec) && isObject(spec['template']) ? spec['template'] : {};
      const path = '/api/v1/namespaces/podgate/pods';
      const name = `${String(isObject(metadata) && metadata['name'])}-0`;
      const body = { ...template, apiVersion: 'v1', kind: 'Pod', metadata: { name } };
      await api.call({ method: 'POST', path, query: { dryRun: 'All' }, body });
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

describe.skipIf(!file)('on a cluster that is given', () => {
  runtimeConforms('runtime kubernetes', kubeletKind, () => clusterPlace(given));
});
