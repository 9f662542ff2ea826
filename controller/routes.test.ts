import { describe, expect, test } from 'vitest';
import { zRoute } from '#contracts/route.ts';
import { desiredPod, running } from '../test/pod-examples.ts';
import { routesOf } from './routes.ts';

const site = { domain: 'example.org', tenant: desiredPod({}).tenant };
const networking = {
  default: { protocol: 'http', port: 1 },
  bolt: { protocol: 'tcp', port: 2 },
  db: { protocol: 'postgres', port: 3 },
  private: { protocol: 'local_only', port: 4 },
} as const;
const desired = desiredPod({ networking });
const addresses = {
  default: { host: '127.0.0.1', port: 20_001, listening: true },
  bolt: { host: '::1', port: 20_002, listening: true },
  db: { host: '127.0.0.1', port: 20_003, listening: false },
  private: { host: '127.0.0.1', port: 20_004, listening: true },
};
const routes = (
  situation: Parameters<typeof routesOf>[1]['situation'],
  observed = running({ addresses }),
) => routesOf(desired, { situation }, observed, site).map((route) => zRoute.parse(route));

describe('the routes of a pod', () => {
  test('lead to each network that listens, and to no local one', () => {
    expect(
      routes('running').map(({ host, protocol, state, upstream }) => [
        host,
        protocol,
        state,
        upstream,
      ]),
    ).toEqual([
      ['mypod.pods.example.org', 'http', 'ready', { host: '127.0.0.1', port: 20_001 }],
      ['mypod-bolt.pods.example.org', 'tcp', 'ready', { host: '::1', port: 20_002 }],
      ['mypod-db.pods.example.org', 'postgres', 'starting', null],
    ]);
  });

  test('of another tenant are below its own domain', () => {
    const theirs = { ...desired, tenant: 'acme' };
    const [first] = routesOf(theirs, { situation: 'running' }, running({ addresses }), site);
    expect(first?.host).toBe('mypod.pods.acme.example.org');
  });

  test.each([
    ['launching', 'starting'],
    ['waiting', 'starting'],
    ['restarting', 'starting'],
    ['removing', 'starting'],
    ['stopping', 'stopping'],
    ['stopped', 'stopped'],
    ['failed', 'failed'],
    ['complete', 'complete'],
  ] as const)('lead nowhere while the pod is %s, and say so', (situation, state) => {
    const made = routes(situation);
    expect(made).toHaveLength(3);
    for (const route of made) {
      expect(route).toMatchObject({ state, upstream: null });
      expect(route.message).not.toBe('');
    }
  });

  test('say that the pod starts while it has no addresses yet', () => {
    const [first] = routes('running', running({ phase: 'starting', addresses: {} }));
    expect(first).toMatchObject({ state: 'starting', upstream: null });
  });

  test('ask for a restart when the run does not know the network', () => {
    const [first] = routes('running', running({ addresses: {} }));
    expect(first).toMatchObject({ state: 'stopped', upstream: null });
    expect(first?.message).toContain('restarted');
  });

  test('are none when the pod is gone', () => {
    expect(routesOf(undefined, { situation: 'removing' }, running(), site)).toEqual([]);
  });
});
