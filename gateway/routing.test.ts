import { describe, expect, test } from 'vitest';
import type { Policy } from '#contracts/policy.ts';
import type { Route } from '#contracts/route.ts';
import { RouteTable } from './route-table.ts';
import type { Asked } from './routing.ts';
import { decide } from './routing.ts';
import { exampleRoute } from '../test/gateway-examples.ts';

const domain = 'example.test';
const base = exampleRoute({ host: 'a.pods.example.test' });
const table = new RouteTable(domain, { host: '127.0.0.1', port: 1 });
table.complete();
table.heed({ domain: 'acme.example.test', identity: 'a certificate' });
table.apply({
  drops: [],
  puts: [
    base,
    { ...base, host: 'a-second.pods.example.test', network: 'second' },
    { ...base, host: 'a-db.pods.example.test', network: 'db', protocol: 'postgres' },
    { ...base, host: 'b.pods.example.test', pod: 'b' },
    { ...base, host: 'sealed.pods.example.test', policy: { passthrough: true } },
    { ...base, host: 'a.other.example.test', tenant: 'other' },
    {
      ...base,
      host: 'off.pods.example.test',
      pod: 'off',
      state: 'stopped',
      message: 'Off.',
      upstream: null,
    },
    { ...base, host: domain, pod: 'thief' },
  ],
});
const known = new Map([['http-01/a.pods.example.test/ours', 'ours.key']]);
const challenges = { find: (id: string) => known.get(id) };
const routing = { challenges, table, domain, publicHttpsPort: 443 };

const request = { target: '/', forwarded: undefined, origin: '', preflight: undefined };
const peer = { address: '203.0.113.7', port: 443, trustedProxies: [] };

function outcome(
  host: string,
  sni: string | undefined,
  { target = '/', port = 443, covers = (): boolean => true } = {},
): string {
  const at = { ...routing, publicHttpsPort: port };
  const decision = decide({ ...request, host, target }, { ...peer, sni, shown: { covers } }, at);
  if (decision.kind === 'forward') return `forward ${decision.route.pod}`;
  return decision.page.location ?? decision.page.code;
}

describe('over TLS', () => {
  test.each([
    ['a.pods.example.test', 'a.pods.example.test', 'forward a'],
    ['a-second.pods.example.test', 'a.pods.example.test', 'forward a'],
    ['b.pods.example.test', 'a.pods.example.test', 'EDGE_MISDIRECTED'],
    ['a.other.example.test', 'a.pods.example.test', 'EDGE_MISDIRECTED'],
    ['a-db.pods.example.test', 'a.pods.example.test', 'EDGE_MISDIRECTED'],
    ['a.pods.example.test', 'a-db.pods.example.test', 'EDGE_MISDIRECTED'],
    ['none.pods.example.test', 'a.pods.example.test', 'EDGE_MISDIRECTED'],
    ['a.pods.example.test', 'none.pods.example.test', 'EDGE_MISDIRECTED'],
    ['one.test', 'two.test', 'EDGE_MISDIRECTED'],
    ['none.pods.example.test', 'none.pods.example.test', 'EDGE_NO_ROUTE'],
    ['off.pods.example.test', 'off.pods.example.test', 'EDGE_POD_STOPPED'],
    ['a-db.pods.example.test', 'a-db.pods.example.test', 'EDGE_NOT_HTTP'],
    ['sealed.pods.example.test', 'a.pods.example.test', 'EDGE_MISDIRECTED'],
    ['sealed.pods.example.test', 'sealed.pods.example.test', 'EDGE_MISDIRECTED'],
    [domain, domain, 'forward api'],
    ['acme.example.test', 'acme.example.test', 'forward api'],
  ])('Host %s on a connection to %s: %s', (host, sni, expected) => {
    expect(outcome(host, sni)).toBe(expected);
  });
});

const nothing = (): boolean => false;

/**
 * The pairs that the Kubernetes Gateway API's conformance test has for misdirected requests
 * (GEP-3567); what is a listener there is a pod with one policy here.
 */
describe('authority and server name of the Gateway API', () => {
  test.each([
    ['the same host', 'a.pods.example.test', 'a.pods.example.test', 'forward a'],
    ['the other host, by its own name', 'b.pods.example.test', 'b.pods.example.test', 'forward b'],
    ['another host', 'b.pods.example.test', 'a.pods.example.test', 'EDGE_MISDIRECTED'],
    ['two names of one listener', 'a-second.pods.example.test', 'a.pods.example.test', 'forward a'],
    ['a host that nobody has', 'unknown.test', 'a.pods.example.test', 'EDGE_MISDIRECTED'],
  ])('%s', (_name, host, sni, expected) => {
    expect(outcome(host, sni)).toBe(expected);
  });

  test('one pod, but a certificate for the one host only', () => {
    const second = 'a-second.pods.example.test';
    expect(outcome(second, 'a.pods.example.test', { covers: nothing })).toBe('EDGE_MISDIRECTED');
    expect(outcome(second, second, { covers: nothing })).toBe('forward a');
  });

  test('one pod, but another policy', () => {
    const strict = 'a-strict.pods.example.test';
    table.apply({
      drops: [],
      puts: [{ ...base, host: strict, network: 'strict', policy: { allow: ['203.0.113.7'] } }],
    });
    expect(outcome(strict, 'a.pods.example.test')).toBe('EDGE_MISDIRECTED');
    expect(outcome('a.pods.example.test', strict)).toBe('EDGE_MISDIRECTED');
    expect(outcome(strict, strict)).toBe('forward a');
  });
});

describe('policies', () => {
  const host = 'a.pods.example.test';
  const cors = {
    origins: ['https://app.test'],
    methods: ['PUT'],
    headers: ['X-Mine'],
    credentials: true,
    maxAgeSeconds: 60,
  };

  function decided(policy: Policy, more: Partial<Asked> = {}, trustedProxies: string[] = []) {
    const find = (): Route => ({ ...base, policy });
    const at = { ...routing, table: { find, isApi: () => false, isForPods: () => true } };
    const who = { ...peer, sni: host, shown: undefined, trustedProxies };
    return decide({ ...request, host, ...more }, who, at);
  }

  test.each([
    ['203.0.113.7', true],
    ['203.0.113.0/24', true],
    ['198.51.100.0/24', false],
    ['2001:db8::/32', false],
  ])('an allow list of %s lets 203.0.113.7 in: %s', (block, lets) => {
    const decision = decided({ allow: [block] });
    expect(decision.kind === 'forward').toBe(lets);
    if (!lets) expect(decision).toMatchObject({ page: { status: 403, code: 'EDGE_NOT_ALLOWED' } });
  });

  test('behind a trusted proxy the last address that is none of them counts', () => {
    const said = { forwarded: { for: '198.51.100.9, 192.0.2.1, 203.0.113.8' } };
    const trusted = ['203.0.113.0/24'];
    expect(decided({ allow: ['192.0.2.1'] }, said, trusted).kind).toBe('forward');
    expect(decided({ allow: ['198.51.100.9'] }, said, trusted).kind).toBe('page');
    // From a stranger it is invention.
    expect(decided({ allow: ['192.0.2.1'] }, said).kind).toBe('page');
  });

  test('a preflight is answered here, and only where the route has rules', () => {
    const asks = { origin: 'https://app.test', preflight: { method: 'PUT', headers: 'x-mine' } };
    expect(decided({ cors }, asks)).toMatchObject({
      page: {
        status: 204,
        fields:
          'Access-Control-Allow-Methods: PUT\r\nAccess-Control-Allow-Headers: X-Mine\r\n' +
          'Access-Control-Max-Age: 60\r\n',
      },
    });
    expect(decided({ cors }, { ...asks, origin: 'https://evil.test' })).toMatchObject({
      page: { status: 204, fields: '' },
    });
    expect(decided({ cors }).kind).toBe('forward');
    expect(decided({}, asks).kind).toBe('forward');
  });
});

describe('on the plain port', () => {
  test.each([
    ['a.pods.example.test', '/x?y=1', 'https://a.pods.example.test/x?y=1'],
    ['a.pods.example.test', '//evil.test', 'https://a.pods.example.test//evil.test'],
    ['a.pods.example.test', '*', 'https://a.pods.example.test/'],
    ['none.pods.example.test', '/', 'https://none.pods.example.test/'],
    [domain, '/', `https://${domain}/`],
    [domain, '/ca.pem', 'forward api'],
    [domain, '/ca.pem?x', `https://${domain}/ca.pem?x`],
    ['a.pods.example.test', '/ca.pem', 'https://a.pods.example.test/ca.pem'],
    ['a.pods.example.test', '/.well-known/acme-challenge/x', 'forward a'],
    ['a.pods.example.test', '/.well-known/acme-challenge/ours', 'EDGE_CHALLENGE'],
    ['b.pods.example.test', '/.well-known/acme-challenge/ours', 'forward b'],
    ['off.pods.example.test', '/.well-known/acme-challenge/x', 'EDGE_NO_CHALLENGE'],
    ['sealed.pods.example.test', '/.well-known/acme-challenge/x', 'EDGE_NO_CHALLENGE'],
    ['none.pods.example.test', '/.well-known/acme-challenge/x', 'EDGE_NO_CHALLENGE'],
    ['example.test', '/.well-known/acme-challenge/x', 'EDGE_NO_CHALLENGE'],
    ['elsewhere.test', '/', 'EDGE_NO_ROUTE'],
    ['evilexample.test', '/', 'EDGE_NO_ROUTE'],
  ])('%s%s: %s', (host, target, expected) => {
    expect(outcome(host, undefined, { target })).toBe(expected);
  });

  test('the public port is named when it is not 443', () => {
    expect(outcome(domain, undefined, { port: 8443 })).toBe(`https://${domain}:8443/`);
  });
});
