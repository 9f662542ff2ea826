import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { zSealed } from '#contracts/sealer.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { exampleRoute } from '../../test/gateway-examples.ts';
import { dropOf, putOf, snapshotOf } from '../../test/route-events.ts';
import { exampleNetwork } from '../../test/traffic-examples.ts';
import type { KnownCertificate } from '../certificates/feed.ts';
import { RouteRegister } from '../route-register.ts';
import { RouteTable } from '../route-table.ts';
import { ErrorBook } from './error-book.ts';
import { explain } from './explain.ts';
import { TrafficBook } from './traffic-book.ts';

const domain = 'example.test';
const folder = mkdtempSync(join(tmpdir(), 'podgate-explain-'));
const chains = new Map<string, string>();
const upstream = { host: '127.0.0.1', port: 20_001 };
const sealedKey = 'v1.key.nonce.text';
let known: Map<string, KnownCertificate>;
let routes: RouteRegister;
let book: TrafficBook;
let errors: ErrorBook;
const clock = new ManualClock();

beforeAll(() => {
  for (const name of ['*.pods.example.test', 'own.pods.example.test']) {
    const argv =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
      `-days 2 -subj /CN=test -addext subjectAltName=DNS:${name}`;
    execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
    chains.set(name, readFileSync(join(folder, 'c.pem'), 'utf8'));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  known = new Map([certificateFor('wildcard', '*.pods.example.test')]);
  const table = new RouteTable(domain, { host: '127.0.0.1', port: 3000 });
  routes = new RouteRegister(clock, table);
  routes.followed(true);
  book = new TrafficBook(clock.nowMs());
  errors = new ErrorBook();
});

function certificateFor(id: string, host: string, problem?: string) {
  const certificate = {
    hosts: [host],
    chain: chains.get(host) ?? '',
    key: zSealed.parse(sealedKey),
    notBeforeMs: Date.UTC(2026, 0, 1),
    notAfterMs: Date.UTC(2026, 1, 1),
    renewAtMs: Date.UTC(2026, 0, 20),
    issuer: 'test',
  };
  return [host, { id, certificate, problem }] as const;
}

function publish(...all: readonly Partial<Route>[]): void {
  const made = all.map((change) => exampleRoute({ upstream, ...change }));
  routes.heard(snapshotOf(7, made));
}

/** The answer's JSON, as an operator gets it. */
function ask(query: string) {
  const certificates = { known: (name: string) => known.get(name) };
  const sources = { domain, publicHttpsPort: 443, routes, certificates, book, errors };
  const { status, body } = explain(new URLSearchParams(query), sources);
  return { status, body: JSON.parse(JSON.stringify(body)), text: JSON.stringify(body) };
}

const firstOutcome = (query: string): object => ask(query).body.clients[0].outcome;

test.each([
  '',
  'host=',
  'host=a..b',
  'host=a_b.test',
  `host=${'a.'.repeat(200)}test`,
  'hots=a.test',
])('"%s" is refused, with an example', (query) => {
  const { status, text } = ask(query);
  expect(status).toBe(400);
  expect(text).toContain('/explain?host=hello.pods.example.test');
});

test('a client that is no address is refused by name', () => {
  const { status, text } = ask('host=a.pods.example.test&client=me');
  expect(status).toBe(400);
  expect(text).toContain('client');
});

test('a pod that is ready: its route, its certificate, its upstream', () => {
  publish({ host: 'own.pods.example.test', pod: 'own' });
  known.set(...certificateFor('pod/default/own', 'own.pods.example.test'));
  const { status, body, text } = ask('host=OWN.pods.example.test.:8443');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    summary:
      'own.pods.example.test is ready, network default (http) of pod own: requests are forwarded to 127.0.0.1:20001, under its own certificate, good until 2026-02-01.',
    host: 'own.pods.example.test',
    table: { source: 'the controller', revision: 7, routes: 1, age_seconds: 0 },
    route: {
      found: true,
      tenant: 'default',
      pod: 'own',
      state: 'ready',
      upstream,
      revision: 7,
      changed_at: new Date(clock.nowMs()).toISOString(),
      published_by: 'the controller',
    },
    tls: {
      mode: 'terminate',
      alpn: ['h2', 'http/1.1'],
      certificate: {
        which: 'own',
        certificate: {
          id: 'pod/default/own',
          names: ['own.pods.example.test'],
          issuer: 'CN=test',
          not_after: '2026-02-01T00:00:00.000Z',
          fingerprint_sha256: new X509Certificate(chains.get('own.pods.example.test') ?? '')
            .fingerprint256,
        },
      },
    },
    clients: [{ client: 'browser or HTTP client', outcome: { kind: 'forward', upstream } }],
  });
  expect(text).not.toContain(sealedKey);
});

test('a certificate that cannot be used is said to be so, and the wildcard answers', () => {
  publish({ host: 'own.pods.example.test' });
  known.set(...certificateFor('own', 'own.pods.example.test', 'key values mismatch'));
  const { certificate } = ask('host=own.pods.example.test').body.tls;
  expect(certificate).toMatchObject({ which: 'wildcard', certificate: { id: 'wildcard' } });
  expect(certificate.why).toContain('key values mismatch');
});

test('without any certificate the handshake ends with an alert', () => {
  publish({ host: 'own.pods.example.test' });
  known.clear();
  const { body } = ask('host=own.pods.example.test');
  expect(body.tls.certificate).toMatchObject({ which: 'none', certificate: null });
  expect(body.clients[0].outcome).toEqual({ kind: 'alert', alert: 'unrecognized_name' });
  expect(body.summary).toContain('unrecognized_name');
});

test('a pod that is not ready: the page and what it says', () => {
  const message = 'It failed five times.';
  publish({ host: 'own.pods.example.test', state: 'failed', upstream: null, message });
  const { body } = ask('host=own.pods.example.test');
  expect(body.clients[0].outcome).toEqual({
    kind: 'page',
    status: 503,
    code: 'EDGE_POD_FAILED',
    message,
  });
  expect(body.summary).toContain('EDGE_POD_FAILED (503), "It failed five times."');
});

test('a host without a route: never had one, had one, or has one that makes no sense', () => {
  publish({ host: 'own.pods.example.test' });
  const never = ask('host=typo.pods.example.test').body;
  expect(never.route).toEqual({ found: false });
  expect(never.clients[0].outcome).toMatchObject({ kind: 'page', code: 'EDGE_NO_ROUTE' });
  expect(never.tls.certificate).toMatchObject({ which: 'wildcard' });
  expect(never.summary).toContain('no pod has this address');

  routes.heard(dropOf(8, 'own.pods.example.test'));
  const gone = ask('host=own.pods.example.test').body;
  expect(gone.route).toMatchObject({ found: false, dropped_at_revision: 8 });
  expect(gone.summary).toContain('has had no route since revision 8');

  routes.heard(putOf(9, 'bad.pods.example.test', {}));
  const bad = ask('host=bad.pods.example.test').body;
  expect(bad.route).toMatchObject({ found: false });
  expect(bad.route.newest_value_refused).toContain('protocol');
  expect(bad.summary).toContain('makes no sense');
});

test('names that nobody serves get the alert: outside the domain, and deeper than the wildcard', () => {
  publish({ host: 'own.pods.example.test' });
  for (const host of ['elsewhere.test', 'a.b.pods.example.test']) {
    const { body } = ask(`host=${host}`);
    expect(body.clients[0].outcome, host).toEqual({ kind: 'alert', alert: 'unrecognized_name' });
  }
  expect(ask('host=elsewhere.test').body.tls).toMatchObject({ mode: 'refuse', certificate: null });
});

test('before the first table a pod is said to be not known yet', () => {
  const { body } = ask('host=own.pods.example.test');
  expect(body.table).toMatchObject({ source: 'none yet', revision: -1, changed_at: null });
  expect(body.route.published_by).toContain('waits for the first table');
  expect(body.clients[0].outcome).toMatchObject({ code: 'EDGE_POD_STARTING' });
});

test('the host of the API is the gateway’s own', () => {
  publish({ host: 'own.pods.example.test' });
  const { body } = ask('host=example.test');
  expect(body.route.published_by).toContain('host of the API');
  expect(body.summary).toContain('is the host of the API: requests are forwarded to');
});

test('an allow list counts when a client is named', () => {
  publish({ host: 'own.pods.example.test', policy: { allow: ['192.0.2.0/24'] } });
  expect(firstOutcome('host=own.pods.example.test')).toMatchObject({ kind: 'forward' });
  expect(firstOutcome('host=own.pods.example.test&client=192.0.2.9')).toMatchObject({
    kind: 'forward',
  });
  expect(firstOutcome('host=own.pods.example.test&client=203.0.113.1')).toMatchObject({
    status: 403,
    code: 'EDGE_NOT_ALLOWED',
  });
});

test('what went through and what went wrong lately stand beside the decision', () => {
  publish({ host: 'own.pods.example.test' });
  const none = ask('host=own.pods.example.test').body;
  expect(none).toMatchObject({ limits_hit: [], last_errors: [] });
  expect(none.traffic).toEqual({
    requests: 0,
    statuses: { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 },
    bytes_in: 0,
    bytes_out: 0,
    open: 0,
    last_activity: null,
  });

  const host = 'own.pods.example.test';
  const route = routes.find(host) ?? exampleRoute();
  const more = { requests: 3, statuses: [0, 2, 0, 0, 1], bytesIn: 10, bytesOut: 20 } as const;
  book.add(
    { number: 0, pid: 7 },
    { ...exampleNetwork(host, more), opened: 1, lastActivityMs: 5_000 },
    route,
  );
  const at = (atMs: number) => ({ host, atMs, message: 'it failed' });
  errors.add({ kind: 'upstream', code: 'EDGE_UPSTREAM_REFUSED', ...at(1_000) });
  errors.add({ kind: 'limit', code: 'codersMax', ...at(2_000) });
  errors.add({ kind: 'upstream', code: 'EDGE_UPSTREAM_TIMEOUT', ...at(3_000) });
  const { body } = ask('host=own.pods.example.test');
  expect(body.traffic).toMatchObject({
    requests: 3,
    statuses: { '2xx': 2, '5xx': 1 },
    bytes_in: 10,
    bytes_out: 20,
    open: 1,
    last_activity: '1970-01-01T00:00:05.000Z',
  });
  expect(body.limits_hit).toEqual([
    { at: '1970-01-01T00:00:02.000Z', code: 'codersMax', message: 'it failed' },
  ]);
  expect(body.last_errors.map(({ code }: { code: string }) => code)).toEqual([
    'EDGE_UPSTREAM_TIMEOUT',
    'EDGE_UPSTREAM_REFUSED',
  ]);
});

test('each protocol has its clients', () => {
  publish(
    { host: 'pg.pods.example.test', protocol: 'postgres' },
    { host: 'off.pods.example.test', protocol: 'postgres', state: 'stopped', upstream: null },
    { host: 'tcp.pods.example.test', protocol: 'tcp', policy: { alpn: ['mqtt'] } },
    { host: 'raw.pods.example.test', protocol: 'tcp', policy: { passthrough: true } },
  );
  expect(ask('host=pg.pods.example.test').body).toMatchObject({
    tls: { alpn: ['postgresql'] },
    clients: [
      { client: 'Postgres client', outcome: { kind: 'splice', upstream } },
      { outcome: { kind: 'page', code: 'EDGE_NOT_HTTP' } },
    ],
  });
  expect(ask('host=off.pods.example.test').body.clients[0].outcome).toMatchObject({
    kind: 'postgres-error',
    sql_state: '57P03',
  });
  expect(ask('host=tcp.pods.example.test').body).toMatchObject({
    tls: { alpn: ['mqtt'] },
    clients: [{ client: 'TLS client', outcome: { kind: 'splice', upstream } }],
  });
  expect(ask('host=raw.pods.example.test').body).toMatchObject({
    tls: { mode: 'passthrough', certificate: null },
    clients: [{ outcome: { kind: 'pass', upstream } }],
  });
});
