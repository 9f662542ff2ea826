import { expect, test } from 'vitest';
import { certs } from './certs.ts';
import type { Environment } from './group.ts';
import { BadSetting } from './group.ts';

const machine = { isRoot: false };
const directory = 'https://acme.example.net/directory';
const read = (environment: Environment) =>
  certs.read({ PODGATE_ACME_DIRECTORY: directory, ...environment }, machine);

const secret = Buffer.from('a secret of DNS').toString('base64');
const dns = {
  PODGATE_DNS_PROVIDER: 'rfc2136',
  PODGATE_DNS_RFC2136_SERVER: 'ns1.example.org',
  PODGATE_DNS_RFC2136_ZONE: 'example.org',
  PODGATE_DNS_RFC2136_KEY_NAME: 'podgate',
  PODGATE_DNS_RFC2136_KEY_SECRET: secret,
};

test('without a directory, and in mode own, our own authority makes all', () => {
  expect(certs.read({}, machine)).toBeUndefined();
  expect(certs.read({ PODGATE_CERT_MODE: 'own' }, machine)).toBeUndefined();
  expect(read({ PODGATE_CERT_MODE: 'own' })).toBeUndefined();
});

test('a directory alone means a certificate for each pod, and hybrid where DNS can be changed', () => {
  expect(read({})).toMatchObject({ mode: 'per-pod', dns: undefined, preflight: 'on' });
  expect(read(dns)?.mode).toBe('hybrid');
  expect(read({ ...dns, PODGATE_CERT_MODE: 'wildcard' })?.mode).toBe('wildcard');
  expect(read({ ...dns, PODGATE_CERT_MODE: 'per-pod' })?.mode).toBe('per-pod');
});

test('a DNS server is described by its address, a zone and a key', () => {
  expect(read(dns)?.dns).toEqual({
    server: { host: 'ns1.example.org', port: 53 },
    authoritative: [{ host: 'ns1.example.org', port: 53 }],
    zone: 'example.org',
    key: { name: 'podgate', secret: Buffer.from('a secret of DNS') },
  });
  const several = { PODGATE_DNS_RFC2136_AUTHORITATIVE: '192.0.2.1, [2001:db8::1]:5353' };
  expect(read({ ...dns, ...several })?.dns?.authoritative).toEqual([
    { host: '192.0.2.1', port: 53 },
    { host: '2001:db8::1', port: 5353 },
  ]);
});

test('authorities are the first, a second, and one to try with', () => {
  const binding = { PODGATE_ACME_EAB_KID: 'kid', PODGATE_ACME_EAB_HMAC: 'aG1hYw' };
  const others = {
    PODGATE_ACME_SECOND_DIRECTORY: 'https://second.example.net/',
    PODGATE_ACME_STAGING_DIRECTORY: 'https://staging.example.net/',
  };
  expect(read({ ...binding, ...others })).toMatchObject({
    real: [
      { directoryUrl: directory, binding: { kid: 'kid', hmacKey: 'aG1hYw' } },
      { directoryUrl: 'https://second.example.net/', binding: undefined },
    ],
    staging: { directoryUrl: 'https://staging.example.net/' },
  });
});

test.each([
  ['PODGATE_CERT_MODE', 'both', 'hybrid, per-pod, wildcard, own'],
  ['PODGATE_CERT_MODE', 'hybrid', 'PODGATE_DNS_PROVIDER must be set'],
  ['PODGATE_CERT_MODE', 'wildcard', 'PODGATE_DNS_PROVIDER must be set'],
  ['PODGATE_ACME_DIRECTORY', 'ftp://ca', 'https URL'],
  ['PODGATE_ACME_EMAIL', 'ops', 'e-mail address'],
  ['PODGATE_ACME_EAB_KID', 'kid', 'PODGATE_ACME_EAB_HMAC go together'],
  ['PODGATE_ACME_PREFLIGHT', 'maybe so', 'on, off or host:port'],
  ['PODGATE_ACME_CERTIFICATES_PER_WEEK', '-1', 'negative'],
  ['PODGATE_ACME_ORDERS_PER_3_HOURS', '1.5', 'whole number'],
  ['PODGATE_DNS_PROVIDER', 'route53', 'must be rfc2136'],
  ['PODGATE_DNS_RFC2136_SERVER', 'ns1.example.org', 'PODGATE_DNS_PROVIDER must be as well'],
])('%s=%s is refused, and told what would do: %s', (name, value, fix) => {
  expect(() => read({ [name]: value })).toThrow(BadSetting);
  expect(() => read({ [name]: value })).toThrow(name);
  expect(() => read({ [name]: value })).toThrow(fix);
});

test.each([
  ['PODGATE_DNS_RFC2136_SERVER', undefined, 'must be set as well'],
  ['PODGATE_DNS_RFC2136_ZONE', undefined, 'must be set as well'],
  ['PODGATE_DNS_RFC2136_KEY_NAME', undefined, 'must be set as well'],
  ['PODGATE_DNS_RFC2136_KEY_SECRET', undefined, 'must be set as well'],
  ['PODGATE_DNS_RFC2136_SERVER', 'ns1:70000', 'must be a server such as'],
  ['PODGATE_DNS_RFC2136_SERVER', '2001:db8::1', 'must be a server such as'],
  ['PODGATE_DNS_RFC2136_AUTHORITATIVE', ' ', 'is empty'],
  ['PODGATE_DNS_RFC2136_AUTHORITATIVE', 'ns1,ns2:0', 'must be a server such as'],
  ['PODGATE_DNS_RFC2136_ZONE', 'example.org.', 'without a dot at its end'],
  ['PODGATE_DNS_RFC2136_KEY_SECRET', '', 'is empty'],
  ['PODGATE_DNS_RFC2136_KEY_SECRET', 'a-b', 'must be base64'],
])('with DNS, %s=%s is refused: it %s', (name, value, fix) => {
  expect(() => read({ ...dns, [name]: value })).toThrow(name);
  expect(() => read({ ...dns, [name]: value })).toThrow(fix);
});

test.each([
  ['PODGATE_ACME_DIRECTORY', { PODGATE_ACME_EMAIL: 'ops@example.org' }],
  ['PODGATE_ACME_DIRECTORY', { PODGATE_CERT_MODE: 'per-pod' }],
  ['PODGATE_ACME_DIRECTORY', dns],
])('what would be of no use without %s is refused: %o', (missing, environment) => {
  expect(() => certs.read(environment, machine)).toThrow(`${missing} must be`);
});

test.each([
  'PODGATE_ACME_EAB_HMAC',
  'PODGATE_ACME_SECOND_EAB_HMAC',
  'PODGATE_DNS_RFC2136_KEY_SECRET',
])('a bad %s is not repeated in the message, and nothing that we start inherits it', (name) => {
  expect(() => read({ ...dns, [name]: 'hunter2!' })).toThrow(name);
  expect(() => read({ ...dns, [name]: 'hunter2!' })).not.toThrow('hunter2');
  expect(certs.secrets).toContain(name);
});
