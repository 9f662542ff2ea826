import { text } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { systemRandom } from '#adapters/system/random.ts';
import type { ApiRequest, KubernetesApi } from '../../controller/runtime/kubernetes/api.ts';
import { shellSpec } from '../conformance/runtime.ts';
import { apiOf, clusterPlace, kubeletKind } from './conformance.ts';

const zMade = z.object({
  metadata: z.object({
    uid: z.string(),
    deletionTimestamp: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
});
const zNames = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z.array(z.object({ metadata: z.object({ name: z.string() }) })),
});

/** What Podgate takes for granted of an API server: the double and a real one have to agree on it. */
export function apiServerBehaves(title: string, configOf: () => KubeConfig): void {
  const namespace = `podgate-contract-${systemRandom.bytes(5).toString('hex')}`;
  const base = `/api/v1/namespaces/${namespace}`;
  let api: KubernetesApi;
  const call = (method: ApiRequest['method'], path: string, body?: object, more: object = {}) =>
    api.call({ method, path, ...(body ? { body } : {}), ...more });
  const apply = (manager: string, labels: Record<string, string>, more: object = {}) =>
    call('PATCH', `${base}/secrets/shared`, secret('shared', { labels }), {
      contentType: 'application/apply-patch+yaml',
      query: { fieldManager: manager, ...more },
    });

  beforeAll(async () => {
    api = apiOf(configOf());
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await call('POST', '/api/v1/namespaces', body);
  });
  afterAll(() => call('DELETE', `/api/v1/namespaces/${namespace}`));

  describe(title, () => {
    test('fields that nobody knows are refused', async () => {
      const query = { fieldValidation: 'Strict' };
      const body = { ...pod('unknown'), spec: { ...pod('unknown').spec, nodename: 'x' } };
      await expect(call('POST', `${base}/pods`, body, { query })).rejects.toMatchObject({
        code: 400,
        message: expect.stringContaining('unknown field "spec.nodename"'),
      });
    });

    test('names of ports have 15 characters at most in Pods, and may have more in Services', async () => {
      const name = 'a-name-too-long-x';
      const [container] = pod('long').spec.containers;
      const containers = [{ ...container, ports: [{ name, containerPort: 80 }] }];
      const body = { ...pod('long'), spec: { containers } };
      await expect(call('POST', `${base}/pods`, body)).rejects.toMatchObject({
        code: 422,
        message: expect.stringContaining('no more than 15 characters'),
      });
      const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'long' } };
      await call('POST', `${base}/services`, { ...service, spec: { ports: [{ name, port: 80 }] } });
    });

    test.each([
      ['POST', 'secrets', 'text/plain'],
      ['PATCH', 'secrets/shared', 'application/json'],
    ] as const)('%s %s as %s is refused', async (method, path, contentType) => {
      await expect(
        call(method, `${base}/${path}`, secret('shared'), { contentType }),
      ).rejects.toMatchObject({ code: 415 });
    });

    test('a name is given once, and preconditions hold', async () => {
      const body = secret('once');
      const made = zMade.parse(await call('POST', `${base}/secrets`, body));
      const again = call('POST', `${base}/secrets`, body);
      await expect(again).rejects.toMatchObject({ code: 409, reason: 'AlreadyExists' });
      const other = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'other' } };
      const path = `${base}/secrets/once`;
      await expect(call('DELETE', path, other)).rejects.toMatchObject({ code: 409 });
      await call('DELETE', path, { ...other, preconditions: { uid: made.metadata.uid } });
      await expect(call('GET', path)).rejects.toMatchObject({ code: 404 });
    });

    test('what another manager applied is a conflict, unless it is forced', async () => {
      await apply('theirs', { one: 'theirs', two: 'theirs' });
      await expect(apply('ours', { one: 'ours' })).rejects.toMatchObject({
        code: 409,
        message: expect.stringContaining('conflict with "theirs": .metadata.labels.one'),
      });
      await apply('ours', { one: 'ours' }, { force: 'true' });
      await expect(apply('theirs', { one: 'theirs' })).rejects.toMatchObject({ code: 409 });
      // Who leaves a field out that is his alone takes it away.
      await apply('theirs', {});
      const { metadata } = zMade.parse(await call('GET', `${base}/secrets/shared`));
      expect(metadata.labels).toEqual({ one: 'ours' });
    });

    test('lists come in pages', async () => {
      const names = ['page-a', 'page-b', 'page-c', 'page-d', 'page-e'];
      const labels = { of: 'pages' };
      for (const name of names) await call('POST', `${base}/secrets`, secret(name, { labels }));
      const found: string[][] = [];
      let next: string | undefined;
      do {
        const more: Record<string, string> = next ? { continue: next } : {};
        const query = { labelSelector: 'of=pages', limit: '2', ...more };
        const page = zNames.parse(await call('GET', `${base}/secrets`, undefined, { query }));
        found.push(page.items.map(({ metadata }) => metadata.name));
        next = page.metadata.continue;
      } while (next);
      expect(found).toEqual([['page-a', 'page-b'], ['page-c', 'page-d'], ['page-e']]);
    });

    test('a Pod on a node is there until the node has ended it', async () => {
      await call('POST', `${base}/pods`, pod('bound'));
      const path = `${base}/pods/bound`;
      const target = { apiVersion: 'v1', kind: 'Node', name: 'nowhere' };
      const metadata = { name: 'bound', namespace };
      const binding = { apiVersion: 'v1', kind: 'Binding', metadata, target };
      await call('POST', `${path}/binding`, binding);
      const grace = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 7 };
      await call('DELETE', path, grace);
      const dying = zMade.parse(await call('GET', path));
      expect(dying.metadata.deletionTimestamp).toBeDefined();
      await call('DELETE', path, { ...grace, gracePeriodSeconds: 0 });
      await expect(call('GET', path)).rejects.toMatchObject({ code: 404 });
    });

    test('of a log are had the last lines, the first bytes, and what came since', async () => {
      const place = await clusterPlace(configOf());
      const runtime = await place.open();
      const { shell } = kubeletKind.images;
      await runtime.start(
        shellSpec('echo one; printf "two\\nthr"; printf "ee\\n"; exec sleep 60', { image: shell }),
      );
      const pods = `/api/v1/namespaces/${place.namespace}/pods`;
      const [made] = zNames.parse(await call('GET', pods)).items;
      const path = `${pods}/${made?.metadata.name}/log`;
      const log = async (query: Record<string, string>): Promise<string> => {
        const answer = { method: 'GET', path, query } as const;
        return text(await api.open(answer, AbortSignal.timeout(10_000)));
      };
      await vi.waitFor(async () => expect(await log({})).toBe('one\ntwo\nthree\n'), 20_000);
      expect(await log({ tailLines: '1' })).toBe('three\n');
      expect(await log({ tailLines: '2' })).toBe('two\nthree\n');
      expect(await log({ limitBytes: '5' })).toBe('one\nt');
      expect(await log({ tailLines: '2', limitBytes: '5' })).toBe('two\nt');
      expect(await log({ sinceTime: '2100-01-01T00:00:00Z' })).toBe('');
      expect(await log({ timestamps: 'true', tailLines: '1' })).toMatch(/^2\S+Z three\n$/);
      await runtime.stopAll(1_000);
      await place.clean();
    });
  });
}

const secret = (name: string, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, ...metadata },
});

const pod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'pod', image: 'example/image' }] },
});
