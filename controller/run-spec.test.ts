import { expect, test } from 'vitest';
import type { Definition, DesiredPod } from '#contracts/pod.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { desiredPod } from '../test/pod-examples.ts';
import { runSpecOf } from './run-spec.ts';

const sealed = zSealed.parse('v1.k.n.c');
const sealer = { open: (_box: unknown, context: string) => (/env/.test(context) ? '{}' : 'pw') };

const specOf = (change: Partial<DesiredPod>) =>
  runSpecOf(desiredPod({ environment: sealed, ...change }), 3, {
    sealer: sealer as unknown as Sealer,
    site: { domain: 'example.org', tenant: 'default' },
    registries: new Map([['ghcr.io', { server: 'ghcr.io', username: 'u', password: 'p' }]]),
    rootTemplates: new Set(['neo4j']),
  });

const template = (own: Definition, ...layers: [ref: string, definition: Definition][]) => ({
  ref: layers[0]?.[0] ?? '',
  own,
  ownEnvironment: sealed,
  layers: layers.map(([ref, definition]) => ({ ref, definition })),
});

test('a run has the networks, limits and place that its pod asks for', () => {
  expect(specOf({ image: 'a' })).toMatchObject({
    run: 3,
    networks: [{ name: 'default', protocol: 'http', port: 5000 }],
    resources: { cpuLimitMilli: 2000, memoryLimitMi: 3072, gpus: 0 },
    computeQueue: 'default',
    registry: null,
  });
  expect(specOf({ image: 'ghcr.io/a/b' }).registry).toMatchObject({ username: 'u' });
});

const image = { image: 'neo4j:5' };
test.each([
  ['without a template', {}, false],
  [
    'of a template that an operator named',
    { template: template({}, ['neo4j:latest@t', image]) },
    true,
  ],
  [
    'of a template that builds on one',
    { template: template({}, ['mine:latest@t', {}], ['neo4j:latest@t', image]) },
    true,
  ],
  [
    'of a template with another image that builds on one',
    { template: template({}, ['mine:latest@t', { image: 'x' }], ['neo4j:latest@t', image]) },
    false,
  ],
  [
    'with an image of its own',
    { template: template({ image: 'x' }, ['neo4j:latest@t', image]) },
    false,
  ],
  ['of another template', { template: template({}, ['neo4jx:latest@t', image]) }, false],
])('a pod %s', (_name, change, root) => {
  expect(specOf(change).privileges.root).toBe(root);
});
