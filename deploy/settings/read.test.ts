import { expect, test } from 'vitest';
import { admin } from './admin.ts';
import { apiAddress } from './api-address.ts';
import { api } from './api.ts';
import { data } from './data.ts';
import { gateway } from './gateway.ts';
import type { Environment } from './group.ts';
import { BadSetting } from './group.ts';
import { log } from './log.ts';
import { readSettings } from './read.ts';
import { nats } from './nats.ts';
import { redis } from './redis.ts';
import { runtime } from './runtime.ts';
import { secrets } from './secrets.ts';
import { sharedKey } from './shared-key.ts';
import { site } from './site.ts';

const groups = { admin: admin(9100), api, data, gateway, log, redis, runtime, secrets, site };
const read = (environment: Environment, isRoot = false) =>
  readSettings(groups, environment, { isRoot });

test('without any variable the documented defaults hold', () => {
  const settings = read({});
  expect(settings).toMatchObject({
    site: { domain: 'localhost', tenant: 'default', publicHttpsPort: 8443 },
    gateway: { httpsPort: 8443, httpPort: 8080, trustedProxies: [], proxyProtocol: false },
    api: { port: 3000, adminPassword: undefined },
    admin: { host: '127.0.0.1', port: 9100, token: undefined },
    runtime: { kind: 'auto', processUser: undefined },
  });
  expect(settings.data.dir).toMatch(/\/\.podgate$/);
  expect(settings.secrets.keyFile).toBe(`${settings.data.dir}/secret.key`);
});

test('the public port follows the https port unless it is set', () => {
  expect(read({ PODGATE_HTTPS_PORT: '9443' }).site.publicHttpsPort).toBe(9443);
  const both = { PODGATE_HTTPS_PORT: '9443', PODGATE_PUBLIC_HTTPS_PORT: '443' };
  expect(read(both).site.publicHttpsPort).toBe(443);
});

test('trusted proxies are a list of addresses and blocks', () => {
  const list = { PODGATE_TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::1', PODGATE_PROXY_PROTOCOL: 'on' };
  expect(read(list).gateway).toMatchObject({
    trustedProxies: ['10.0.0.0/8', '2001:db8::1'],
    proxyProtocol: true,
  });
});

test('the PROXY protocol needs to know from whom', () => {
  const alone = { PODGATE_PROXY_PROTOCOL: 'on' };
  expect(() => read(alone)).toThrow(/PODGATE_TRUSTED_PROXIES/);
});

test('a Redis is described by three variables', () => {
  expect(read({}).redis).toBeUndefined();
  const described = {
    PODGATE_REDIS_URL: 'rediss+sentinel://:secret@one,two:7000/main',
    PODGATE_REDIS_CA_FILE: '/etc/ca.pem',
    PODGATE_REDIS_WAIT_REPLICAS: '1',
  };
  expect(read(described).redis).toMatchObject({
    address: { kind: 'sentinel', tls: true, master: 'main', password: 'secret' },
    caFile: '/etc/ca.pem',
    waitReplicas: 1,
  });
  const plain = { ...described, PODGATE_REDIS_URL: 'redis://one' };
  expect(() => read(plain)).toThrow(/PODGATE_REDIS_CA_FILE .*rediss/);
});

test('pods of root run as nobody', () => {
  expect(read({}, true).runtime.processUser).toBe('nobody');
  expect(read({ PODGATE_PROCESS_USER: 'postgres' }, true).runtime.processUser).toBe('postgres');
});

test.each([
  ['PODGATE_HTTPS_PORT', 'https'],
  ['PODGATE_HTTPS_PORT', '0'],
  ['PODGATE_HTTP_PORT', '65536'],
  ['PODGATE_API_PORT', '30.5'],
  ['PODGATE_ADMIN_PORT', '-1'],
  ['PODGATE_DOMAIN', 'Example.org'],
  ['PODGATE_DOMAIN', '*.example.org'],
  ['PODGATE_RUNTIME', 'vax'],
  ['PODGATE_TENANT', 'a/b'],
  ['PODGATE_ADMIN_PASSWORD', 'short'],
  ['PODGATE_ADMIN_TOKEN', 'fifteen-letters'],
  ['PODGATE_ADMIN_TOKEN', 'sixteen letters and spaces'],
  ['PODGATE_DATA_DIR', ''],
  ['PODGATE_GATEWAY_WORKERS', '0'],
  ['PODGATE_TLS_CONTEXTS', '99'],
  ['PODGATE_TRUSTED_PROXIES', '10.0.0.0/33'],
  ['PODGATE_TRUSTED_PROXIES', 'balancer.example.org'],
  ['PODGATE_PROXY_PROTOCOL', 'yes'],
  ['PODGATE_LOG_LEVEL', 'loud'],
  ['PODGATE_ACCESS_LOG', 'on'],
  ['PODGATE_ACCESS_LOG_FILE', ''],
  ['PODGATE_REDIS_URL', 'http://cache:6379'],
  ['PODGATE_REDIS_URL', 'redis+sentinel://one,two'],
  ['PODGATE_REDIS_CA_FILE', '/etc/ca.pem'],
  ['PODGATE_REDIS_WAIT_REPLICAS', '1'],
  ['PODGATE_REDIS_WAIT_REPLICAS', '-1'],
  ['PODGATE_HTTPS_PROT', '8443'],
])('%s=%s is refused by name', (name, value) => {
  expect(() => read({ [name]: value })).toThrow(BadSetting);
  expect(() => read({ [name]: value })).toThrow(name);
});

test.each(['PODGATE_ADMIN_PASSWORD', 'PODGATE_ADMIN_TOKEN', 'PODGATE_REDIS_URL'])(
  'a bad %s is not repeated in the message',
  (name) => {
    expect(() => read({ [name]: 'hunter2' })).toThrow(name);
    expect(() => read({ [name]: 'hunter2' })).not.toThrow('hunter2');
  },
);

test('two settings that share a port are both named', () => {
  const clash = { PODGATE_HTTP_PORT: '8443' };
  expect(() => read(clash)).toThrow(/PODGATE_HTTP_PORT .*PODGATE_HTTPS_PORT/);
});

test('a program overlooks the settings of others, and refuses what nobody has', () => {
  const environment = { PODGATE_API_PORT: 'nonsense', PODGATE_LOG_LEVEL: 'info' };
  expect(readSettings({ log }, environment, { isRoot: false })).toEqual({ log: { level: 'info' } });
  const misspelt = { PODGATE_LOGLEVEL: 'info' };
  expect(() => readSettings({ log }, misspelt, { isRoot: false })).toThrow('PODGATE_LOGLEVEL');
});

test('every group that a program reads is among those whose names are known', async () => {
  const { settingNames } = await import('./names.ts');
  const used = Object.values(groups).flatMap(({ shape }) => Object.keys(shape));
  expect(used.filter((name) => !settingNames.has(name))).toEqual([]);
});

const cluster = { nats, sharedKey, apiAddress };
const needed = { PODGATE_NATS_URL: 'nats://one', PODGATE_SECRET_KEY_FILE: '/etc/key' };
const readCluster = (environment: Environment) =>
  readSettings(cluster, { ...needed, ...environment }, { isRoot: false });

test('what programs need that run alone is asked for by name', () => {
  expect(readCluster({})).toMatchObject({
    nats: { address: { servers: ['one:4222'] }, replicas: 1 },
    sharedKey: { file: '/etc/key' },
    apiAddress: [{ host: '127.0.0.1', port: 3000 }],
  });
  for (const name of Object.keys(needed))
    expect(() => readCluster({ [name]: undefined })).toThrow(`${name} is not set`);
});

test('several apis are a list', () => {
  const several = readCluster({ PODGATE_API_ADDRESS: 'api-1:3000,[2001:db8::1]:3001' });
  expect(several.apiAddress).toEqual([
    { host: 'api-1', port: 3000 },
    { host: '2001:db8::1', port: 3001 },
  ]);
});

test.each([
  ['PODGATE_NATS_URL', 'http://one:4222'],
  ['PODGATE_NATS_CA_FILE', '/etc/ca.pem'],
  ['PODGATE_NATS_REPLICAS', '0'],
  ['PODGATE_API_ADDRESS', 'api-1'],
  ['PODGATE_API_ADDRESS', 'api-1:3000,api-2:70000'],
  ['PODGATE_API_ADDRESS', ''],
])('%s=%s is refused by name in a cluster', (name, value) => {
  expect(() => readCluster({ [name]: value })).toThrow(BadSetting);
  expect(() => readCluster({ [name]: value })).toThrow(name);
});
