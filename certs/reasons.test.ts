import { expect, test } from 'vitest';
import { zCertificate } from '#contracts/certificate.ts';
import type { Facts } from './reasons.ts';
import { reasonToIssue } from './reasons.ts';

const certificate = zCertificate.parse({
  hosts: ['a.example', 'b.example'],
  chain: 'PEM',
  key: 'v1.k.n.b',
  notBeforeMs: 0,
  notAfterMs: 300,
  renewAtMs: 200,
  issuer: 'us',
});
const good: Facts = {
  certificate,
  keyOpens: true,
  hosts: ['a.example', 'b.example'],
  issuer: 'us',
  rotate: false,
  nowMs: 199,
};

test('there is no reason while the certificate is what it should be', () => {
  expect(reasonToIssue(good)).toBeUndefined();
});

test.each([
  ['there is none', { certificate: undefined }, /no certificate/],
  ['a host was added', { hosts: ['a.example', 'b.example', 'c.example'] }, /hosts/],
  ['a host was removed', { hosts: ['a.example'] }, /hosts/],
  ['the issuer is another', { issuer: 'them' }, /not from them/],
  ['its key does not open', { keyOpens: false }, /key/],
  ['a new key was asked for', { rotate: true }, /asked/],
  ['its renewal is due', { nowMs: 200 }, /due/],
  ['it is long over', { nowMs: 1000 }, /due/],
])('it is issued when %s', (_when, change, reason) => {
  expect(reasonToIssue({ ...good, ...change })).toMatch(reason);
});
