import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Tenant } from '#contracts/tenant.ts';
import { tenants } from '#contracts/tenant.ts';
import { certificates } from '#contracts/certificate.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods, sealContext } from '#contracts/pod.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { openAuthority } from './authority/authority.ts';
import type { Certs } from './certs.ts';
import { startCerts } from './certs.ts';

const dayMs = 24 * 60 * 60 * 1000;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

let folder: string;
let clock: ManualClock;
let store: MemoryStore;
let certs: Certs;

const ports = () => ({
  store,
  clock,
  sealer: openSealer(join(folder, 'key')),
  random: systemRandom,
  leases: new MemoryLeases(clock),
  log: silent,
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-certs-'));
  clock = new ManualClock();
  store = new MemoryStore();
  certs = await startCerts(ports(), {
    site: { domain: 'example.org', tenant: 'default' },
    holder: 'test',
    others: undefined,
  });
});
afterEach(async () => {
  await certs.stop();
  rmSync(folder, { recursive: true });
});

function pod(networks: DesiredPod['networking']): DesiredPod {
  const sealer = openSealer(join(folder, 'key'));
  return {
    tenant: 'default',
    podId: 'shop',
    owner: 'admin',
    description: '',
    image: 'podgate/hello',
    command: null,
    arguments: null,
    environment: sealer.seal('{}', sealContext.environment('default/shop')),
    networking: networks,
    resources: { cpu_request: 1, cpu_limit: 1, mem_request: 1, mem_limit: 1, gpus: 0 },
    computeQueue: 'default',
    timeToStopDefault: -1,
    timeToStopInstance: null,
    requested: 'ON',
    generation: 1,
    generationCause: 'create',
    permissions: {},
    credentials: { userUsername: 'shop', userPassword: sealer.seal('x', 'y') },
    modifiedFields: [],
    actions: [],
    createdAtMs: 0,
    updatedAtMs: 0,
  };
}

const stored = async (id: string) => (await certificates(store).get(id))?.value;

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let turn = 0; turn < 200; turn += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('waited in vain');
}

test('the domain and the wildcard have certificates when it has started', async () => {
  expect((await stored('domain'))?.hosts).toEqual(['example.org']);
  expect((await stored('wildcard'))?.hosts).toEqual(['*.pods.example.org', 'pods.example.org']);
});

test('a further tenant gets one for its API and its pods together, and its pods get theirs', async () => {
  const acme: Tenant = {
    tenantId: 'acme',
    description: '',
    active: true,
    issuers: [],
    admins: [],
    allowedUsers: null,
    createdBy: 'admin',
    createdAtMs: 0,
    updatedAtMs: 0,
  };
  await tenants(store).put('acme', acme, 'absent');
  const own = await eventually(() => stored('tenant/acme'));
  const pods = 'pods.acme.example.org';
  expect(own.hosts).toEqual(['acme.example.org', `*.${pods}`, pods]);
  const theirs = { ...pod({ default: { protocol: 'http', port: 80 } }), tenant: 'acme' };
  await desiredPods(store).put('acme/shop', theirs, 'absent');
  expect((await eventually(() => stored('pod/acme/shop'))).hosts).toEqual([`shop.${pods}`]);
  await tenants(store).put('default', { ...acme, tenantId: 'default' }, 'absent');
  await tenants(store).remove('acme', 'anything');
  await eventually(async () => ((await stored('tenant/acme')) ? undefined : true));
  expect(await stored('tenant/default')).toBeUndefined();
});

test('a desired pod gets one certificate over all its routed hosts', async () => {
  await desiredPods(store).put(
    'default/shop',
    pod({
      default: { protocol: 'http', port: 80 },
      db: { protocol: 'postgres', port: 5432 },
      inner: { protocol: 'local_only', port: 9 },
    }),
    'absent',
  );
  const certificate = await eventually(() => stored('pod/default/shop'));
  expect(certificate.hosts).toEqual(['shop-db.pods.example.org', 'shop.pods.example.org']);
  const leaf = new X509Certificate(certificate.chain);
  expect(leaf.checkHost('shop-db.pods.example.org')).toBeTruthy();
  expect(certificate.key).not.toContain('PRIVATE');
  expect(
    ports().sealer.open(certificate.key, sealContext.certificate('pod/default/shop')),
  ).toContain('PRIVATE KEY');
});

test('other hosts mean another certificate; a deleted pod keeps none', async () => {
  const pods = desiredPods(store);
  await pods.put('default/shop', pod({ default: { protocol: 'http', port: 80 } }), 'absent');
  await eventually(() => stored('pod/default/shop'));
  await pods.put('default/shop', pod({ api: { protocol: 'http', port: 80 } }), 'anything');
  await eventually(async () => {
    const certificate = await stored('pod/default/shop');
    return certificate?.hosts[0] === 'shop-api.pods.example.org' ? certificate : undefined;
  });
  await pods.remove('default/shop', 'anything');
  await eventually(async () => ((await stored('pod/default/shop')) ? undefined : 'gone'));
});

test('a certificate is renewed between half and the end of its life, and only then', async () => {
  const first = await stored('wildcard');
  await clock.advance(14 * dayMs);
  expect((await stored('wildcard'))?.chain).toBe(first?.chain);
  await clock.advance(10 * dayMs);
  const renewed = await eventually(async () => {
    const now = await stored('wildcard');
    return now?.chain === first?.chain ? undefined : now;
  });
  expect(renewed.notAfterMs).toBeGreaterThan(first?.notAfterMs ?? Infinity);
}, 60_000);

test('the root outlives a restart; so do its certificates', async () => {
  const before = await stored('wildcard');
  const again = await startCerts(ports(), {
    site: { domain: 'example.org', tenant: 'default' },
    holder: 'other',
    others: undefined,
  });
  expect(again.rootPem).toBe(certs.rootPem);
  expect(await stored('wildcard')).toEqual(before);
  await again.stop();
});

test('openssl accepts the chain for a host of the domain and refuses one outside of it', async () => {
  clock = new ManualClock(Date.now());
  const authority = await openAuthority({ ...ports(), store: new MemoryStore() }, 'example.org');
  writeFileSync(join(folder, 'root.pem'), authority.rootPem);
  const verify = async (host: string): Promise<string> => {
    const { chain } = await authority.issue([host]);
    writeFileSync(join(folder, 'chain.pem'), chain);
    const argv = ['verify', '-CAfile', 'root.pem', '-untrusted', 'chain.pem', '-x509_strict'];
    return execFileSync('openssl', [...argv, '-verify_hostname', host, 'chain.pem'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  };
  expect(await verify('a.pods.example.org')).toContain('OK');
  await expect(verify('a.pods.example.com')).rejects.toThrow(/permitted subtree/);
});
