import { describe, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { RouteTable } from './route-table.ts';
import { decide } from './routing.ts';

const domain = 'example.test';
const base: Route = {
  host: 'a.pods.example.test',
  tenant: 'default',
  pod: 'a',
  network: 'default',
  protocol: 'http',
  state: 'ready',
  message: '',
  upstream: { host: '127.0.0.1', port: 1000 },
};
const table = new RouteTable([{ ...base, host: domain, pod: 'api' }]);
table.apply({
  drops: [],
  puts: [
    base,
    { ...base, host: 'a-second.pods.example.test', network: 'second' },
    { ...base, host: 'a-db.pods.example.test', network: 'db', protocol: 'postgres' },
    { ...base, host: 'b.pods.example.test', pod: 'b' },
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
const routing = { table, domain, publicHttpsPort: 443 };

function outcome(host: string, sni: string | undefined, target = '/', port = 443): string {
  const decision = decide({ host, sni, target }, { ...routing, publicHttpsPort: port });
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
    [domain, domain, 'forward api'],
  ])('Host %s on a connection to %s: %s', (host, sni, expected) => {
    expect(outcome(host, sni)).toBe(expected);
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
    ['elsewhere.test', '/', 'EDGE_NO_ROUTE'],
    ['evilexample.test', '/', 'EDGE_NO_ROUTE'],
  ])('%s%s: %s', (host, target, expected) => {
    expect(outcome(host, undefined, target)).toBe(expected);
  });

  test('the public port is named when it is not 443', () => {
    expect(outcome(domain, undefined, '/', 8443)).toBe(`https://${domain}:8443/`);
  });
});
