import { expect, test } from 'vitest';
import { BadSetting, readSettings } from './settings.ts';

test('without any variable the documented defaults hold', () => {
  const settings = readSettings({}, false);
  expect(settings).toMatchObject({
    domain: 'localhost',
    httpsPort: 8443,
    httpPort: 8080,
    apiPort: 3000,
    adminPort: 9100,
    adminHost: '127.0.0.1',
    publicHttpsPort: 8443,
    runtime: 'auto',
    tenant: 'default',
    processUser: undefined,
    trustedProxies: [],
    proxyProtocol: false,
    adminPassword: undefined,
    adminToken: undefined,
  });
  expect(settings.dataDir).toMatch(/\/\.podgate$/);
  expect(settings.secretKeyFile).toBe(`${settings.dataDir}/secret.key`);
});

test('the public port follows the https port unless it is set', () => {
  expect(readSettings({ PODGATE_HTTPS_PORT: '9443' }, false).publicHttpsPort).toBe(9443);
  const both = { PODGATE_HTTPS_PORT: '9443', PODGATE_PUBLIC_HTTPS_PORT: '443' };
  expect(readSettings(both, false).publicHttpsPort).toBe(443);
});

test('trusted proxies are a list of addresses and blocks', () => {
  const list = { PODGATE_TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::1', PODGATE_PROXY_PROTOCOL: 'on' };
  expect(readSettings(list, false)).toMatchObject({
    trustedProxies: ['10.0.0.0/8', '2001:db8::1'],
    proxyProtocol: true,
  });
});

test('the PROXY protocol needs to know from whom', () => {
  const alone = { PODGATE_PROXY_PROTOCOL: 'on' };
  expect(() => readSettings(alone, false)).toThrow(/PODGATE_TRUSTED_PROXIES/);
});

test('a Redis is described by three variables', () => {
  expect(readSettings({}, false).redis).toBeUndefined();
  const redis = {
    PODGATE_REDIS_URL: 'rediss+sentinel://:secret@one,two:7000/main',
    PODGATE_REDIS_CA_FILE: '/etc/ca.pem',
    PODGATE_REDIS_WAIT_REPLICAS: '1',
  };
  expect(readSettings(redis, false).redis).toMatchObject({
    address: { kind: 'sentinel', tls: true, master: 'main', password: 'secret' },
    caFile: '/etc/ca.pem',
    waitReplicas: 1,
  });
  const plain = { ...redis, PODGATE_REDIS_URL: 'redis://one' };
  expect(() => readSettings(plain, false)).toThrow(/PODGATE_REDIS_CA_FILE .*rediss/);
});

test('pods of root run as nobody', () => {
  expect(readSettings({}, true).processUser).toBe('nobody');
  expect(readSettings({ PODGATE_PROCESS_USER: 'postgres' }, true).processUser).toBe('postgres');
});

test.each([
  ['PODGATE_HTTPS_PORT', 'https'],
  ['PODGATE_HTTPS_PORT', '0'],
  ['PODGATE_HTTP_PORT', '65536'],
  ['PODGATE_API_PORT', '30.5'],
  ['PODGATE_ADMIN_PORT', '-1'],
  ['PODGATE_DOMAIN', 'Example.org'],
  ['PODGATE_DOMAIN', '*.example.org'],
  ['PODGATE_RUNTIME', 'kubernetes'],
  ['PODGATE_TENANT', 'a/b'],
  ['PODGATE_ADMIN_PASSWORD', 'short'],
  ['PODGATE_ADMIN_TOKEN', 'fifteen-letters'],
  ['PODGATE_ADMIN_TOKEN', 'sixteen letters and spaces'],
  ['PODGATE_DATA_DIR', ''],
  ['PODGATE_GATEWAY_WORKERS', '0'],
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
  expect(() => readSettings({ [name]: value }, false)).toThrow(BadSetting);
  expect(() => readSettings({ [name]: value }, false)).toThrow(name);
});

test.each(['PODGATE_ADMIN_PASSWORD', 'PODGATE_ADMIN_TOKEN', 'PODGATE_REDIS_URL'])(
  'a bad %s is not repeated in the message',
  (name) => {
    expect(() => readSettings({ [name]: 'hunter2' }, false)).toThrow(name);
    expect(() => readSettings({ [name]: 'hunter2' }, false)).not.toThrow('hunter2');
  },
);

test('two settings that share a port are both named', () => {
  const clash = { PODGATE_HTTP_PORT: '8443' };
  expect(() => readSettings(clash, false)).toThrow(/PODGATE_HTTP_PORT .*PODGATE_HTTPS_PORT/);
});
