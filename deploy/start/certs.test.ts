import { expect, test } from 'vitest';
import { certs } from '../settings/certs.ts';
import { BadSetting } from '../settings/group.ts';
import { publicTerms } from './certs.ts';
import { openSystem } from './system.ts';

const terms = (domain: string, more = {}) => {
  const environment = {
    PODGATE_ACME_DIRECTORY: 'https://acme-v02.api.letsencrypt.org/directory',
    PODGATE_DNS_PROVIDER: 'rfc2136',
    PODGATE_DNS_RFC2136_SERVER: '127.0.0.1',
    PODGATE_DNS_RFC2136_ZONE: 'example.org',
    PODGATE_DNS_RFC2136_KEY_NAME: 'podgate',
    PODGATE_DNS_RFC2136_KEY_SECRET: 'c2VjcmV0',
    ...more,
  };
  const choice = certs.read(environment, { isRoot: false });
  const site = { domain, tenant: 'default' };
  return publicTerms({ certs: choice, site }, openSystem({ level: 'error' }));
};

test('with DNS that can be changed the mode is hybrid and there is who changes it', () => {
  const found = terms('apps.example.org');
  expect(found?.mode).toBe('hybrid');
  expect(found?.dns).toBeDefined();
  expect(terms('example.org')?.dns).toBeDefined();
});

test.each(['example.net', 'notexample.org'])('%s is not in the zone: both are named', (domain) => {
  expect(() => terms(domain)).toThrow(BadSetting);
  expect(() => terms(domain)).toThrow(/PODGATE_DNS_RFC2136_ZONE .*PODGATE_DOMAIN/);
});

test("Let's Encrypt's limits are known; what was granted takes their place", () => {
  const limits = terms('example.org')?.authorities.real[0]?.limits;
  expect(limits?.certificates?.size).toBe(50);
  const granted = {
    PODGATE_ACME_CERTIFICATES_PER_WEEK: '7000',
    PODGATE_ACME_ORDERS_PER_3_HOURS: '0',
  };
  expect(terms('example.org', granted)?.authorities.real[0]?.limits).toMatchObject({
    certificates: { size: 7000 },
    orders: undefined,
  });
});

test.each([
  ['PODGATE_ACME_CA_FILE', {}],
  ['PODGATE_ACME_SECOND_CA_FILE', { PODGATE_ACME_SECOND_DIRECTORY: 'https://second.example.net/' }],
])('%s that is not there is told by its name', (name, more) => {
  const environment = { ...more, [name]: '/nowhere/ca.pem' };
  expect(() => terms('example.org', environment)).toThrow(BadSetting);
  expect(() => terms('example.org', environment)).toThrow(`${name} cannot be read: Error: ENOENT`);
});
