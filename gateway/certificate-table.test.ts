import { expect, test } from 'vitest';
import type { Certificate } from '#contracts/certificate.ts';
import { zSealed } from '#contracts/sealer.ts';
import { CertificateTable } from './certificate-table.ts';

// The table compares chains and never opens a key.
const certificate = (chain: string, ...hosts: string[]): Certificate => ({
  hosts,
  chain,
  key: zSealed.parse('v1.key.nonce.text'),
  notBeforeMs: 0,
  notAfterMs: 1,
  renewAtMs: 1,
  issuer: 'test',
});

test('a certificate is found by the exact names it was made for', () => {
  const table = new CertificateTable();
  expect(table.put('pod', certificate('1', 'a.test', '*.b.test'))).toEqual(['a.test', '*.b.test']);
  expect(table.find('a.test')).toMatchObject({ id: 'pod', certificate: { chain: '1' } });
  expect(table.find('*.b.test')?.id).toBe('pod');
  expect(table.find('x.b.test')).toBeUndefined();
  expect([...table.entries().keys()]).toEqual(['pod']);
});

test('a renewal tells every host that is served differently now; no change tells none', () => {
  const table = new CertificateTable();
  table.put('pod', certificate('1', 'a.test', 'b.test'));
  expect(table.put('pod', certificate('1', 'a.test', 'b.test'))).toEqual([]);
  const changed = table.put('pod', certificate('2', 'b.test', 'c.test'));
  expect(changed.toSorted()).toEqual(['a.test', 'b.test', 'c.test']);
  expect(table.find('a.test')).toBeUndefined();
  expect(table.find('c.test')?.certificate.chain).toBe('2');
});

test('the removal of an older certificate leaves the host to the newer one', () => {
  const table = new CertificateTable();
  table.put('old', certificate('1', 'a.test'));
  table.put('new', certificate('2', 'a.test'));
  table.remove('old');
  expect(table.find('a.test')?.id).toBe('new');
  expect(table.remove('new')).toEqual(['a.test']);
  expect(table.find('a.test')).toBeUndefined();
  expect(table.remove('new')).toEqual([]);
});
