import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunSpec, Runtime } from '../../controller/runtime/runtime.ts';
import {
  exited,
  listening,
  logged,
  networksOf,
  observed,
  runtimeConforms,
  shellSpec,
  spec,
} from '../conformance/runtime.ts';
import { Standalone } from '../integration/standalone.ts';
import { Cluster } from '../kubernetes/cluster.ts';
import type { ClusterPlace } from '../kubernetes/conformance.ts';
import { apiOf, clusterPlace, nodesKind } from '../kubernetes/conformance.ts';
import { available } from '../programs/run.ts';

/** On a cluster of real parts; `kubernetes.test.ts` is for those that are given. */
const cluster = process.env['KUBECONFIG']
  ? undefined
  : await available('pods on a real kubelet', () => Cluster.start());
const config = cluster?.config ?? new KubeConfig();
const kind = { ...nodesKind({ PODGATE_TEST_POD_IMAGE: cluster?.image }), rotatesOutput: false };
const { hello, shell } = kind.images;
const wait = { timeout: kind.patienceMs, interval: 10 };
const program = (script: string, change: Partial<RunSpec> = {}): RunSpec =>
  shellSpec(script, { image: shell, ...change });
const server = (): RunSpec =>
  spec({
    image: hello,
    command: kind.images.helloCommand ?? null,
    networks: networksOf('default'),
  });
const place = (): Promise<ClusterPlace> => clusterPlace(config, { theirs: true });

afterAll(() => cluster?.stop());

describe.skipIf(!cluster)('on a real kubelet', () => {
  runtimeConforms('runtime kubernetes', kind, place);
});

describe.skipIf(!cluster)('what a real kubelet does to a pod', () => {
  let there: ClusterPlace;
  let runtime: Runtime;

  beforeAll(async () => {
    there = await place();
    runtime = await there.open();
  });
  afterEach(() => runtime.remove('default/pod'));
  afterAll(async () => {
    runtime?.close();
    await there?.clean();
  });

  test('who uses more memory than the limit is ended, and told so', async () => {
    const eats = 'echo begin; exec dd if=/dev/zero of=/dev/null bs=200M count=1';
    const { resources } = spec({});
    await runtime.start(program(eats, { resources: { ...resources, memoryLimitMi: 64 } }));
    const { end } = await exited(runtime, wait);
    expect(end).toMatchObject({ by: 'itself', exitCode: 137 });
    expect(end?.message).toMatch(/more memory than its limit of 64 MiB.*OOMKilled.*\nbegin$/s);
  });

  test.each([
    ['does not have it', 'podgate.invalid/app:1'],
    ['wants to know who asks', 'podgate.invalid/status-401/app:1'],
    ['does not let us', 'podgate.invalid/status-403/app:1'],
  ])('an image whose registry %s is refused', async (_name, image) => {
    await runtime.start(program('true', { image }));
    const { end } = await exited(runtime, wait);
    expect(end).toMatchObject({ by: 'refused', message: expect.stringContaining(image) });
  });

  test.each([
    ['has no time', 'podgate.invalid/status-429/app:1'],
    ['is broken', 'podgate.invalid/status-503/app:1'],
  ])('for an image whose registry %s it waits, and tells why', async (_name, image) => {
    await runtime.start(program('true', { image }));
    const message = expect.stringContaining(`Image ${image} cannot be fetched yet: `);
    await vi.waitFor(async () => {
      expect(await observed(runtime)).toMatchObject({ phase: 'starting', end: null, message });
    }, wait);
  });

  test('an image that wants to be root is refused, with what can be done', async () => {
    const privileges = { root: false, user: 0, capabilities: [] };
    await runtime.start(program('true', { privileges }));
    const { end } = await exited(runtime, wait);
    expect(end).toMatchObject({ by: 'refused', message: expect.stringContaining('template') });
  });

  test('a pod that no node has room for waits, and tells why', async () => {
    const { resources } = spec({});
    const much = { cpuRequestMilli: 900_000, cpuLimitMilli: 900_000 };
    await runtime.start(program('true', { resources: { ...resources, ...much } }));
    const message = expect.stringContaining('No node has enough CPU left for it: 0/1 nodes');
    await vi.waitFor(async () => {
      expect(await observed(runtime)).toMatchObject({ phase: 'starting', message });
    }, wait);
  });

  test('who is drained ends in its own way, and is lost to the cluster', async () => {
    await runtime.start(
      program('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'),
    );
    await logged(runtime, 'up', wait);
    await evict();
    const { end } = await exited(runtime, wait);
    expect(end).toMatchObject({ by: 'lost', exitCode: 0 });
    expect(end?.message).toBe(
      'it had to leave its node, as when one is drained (Eviction API: evicting)',
    );
    expect(await runtime.logs('default/pod')).toMatch(/^up\n(?:Terminated\n)?bye\n$/);
  });

  test('who stops to listen is not led to, until it listens again', async () => {
    const opens = "require('node:http').createServer((_, answer) => answer.end('ok'))";
    const script = `const s = ${opens}; const on = () => s.listen(process.env.PORT); on();
      setTimeout(() => { s.close(); s.closeAllConnections(); setTimeout(on, 6000); }, 5000);`;
    await runtime.start({ ...server(), command: ['node', '-e', script.replaceAll('$', '$$')] });
    await listening(runtime, 'default', wait);
    await vi.waitFor(async () => {
      expect((await observed(runtime)).addresses['default']?.listening).toBe(false);
    }, wait);
    await listening(runtime, 'default', wait);
  });

  /** As `kubectl drain` does with each pod of a node. */
  async function evict(): Promise<void> {
    const path = `/api/v1/namespaces/${there.namespace}/pods`;
    const { items } = (await apiOf(config).call({ method: 'GET', path })) as {
      items: { metadata: { name: string } }[];
    };
    const name = items[0]?.metadata.name ?? '';
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } };
    await apiOf(config).call({ method: 'POST', path: `${path}/${name}/eviction`, body });
  }
});

describe.skipIf(!cluster)('Podgate on a real kubelet', () => {
  let podgate: Standalone;
  let folder = '';

  beforeAll(async () => {
    if (!cluster) return;
    folder = mkdtempSync(join(tmpdir(), 'podgate-kubeconfig-'));
    const KUBECONFIG = join(folder, 'config');
    writeFileSync(KUBECONFIG, config.exportConfig());
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'podgate-pods' } };
    await apiOf(config).call({ method: 'POST', path: '/api/v1/namespaces', body: namespace });
    podgate = await Standalone.start({ env: { KUBECONFIG, PODGATE_RUNTIME: 'kubernetes' } });
    const list = [{ image: hello.replace(/:.*$/, ''), tenants: ['*'] }];
    const { status } = await podgate.call('POST', '/v3/pods/images/bulk', list);
    expect(status).toBeLessThan(300);
  });
  afterAll(async () => {
    await podgate?.stopAndForget();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test('a pod that is created is soon reached by https', async () => {
    const began = performance.now();
    await podgate.pod(
      {
        pod_id: 'web',
        image: hello,
        command: [...(kind.images.helloCommand ?? [])],
        resources: { cpu_request: 250, cpu_limit: 1000, mem_request: 256, mem_limit: 256 },
      },
      kind.patienceMs,
    );
    const { status, body } = await podgate.request('web.pods.localhost', '/');
    expect([status, body.toString()]).toEqual([200, 'ok']);
    process.stdout.write(`https after ${Math.round(performance.now() - began)} ms\n`);
  });
});
