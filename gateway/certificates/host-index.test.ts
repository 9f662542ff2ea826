import { expect, test } from 'vitest';
import { HostIndex } from './host-index.ts';

const listed = (version: number, ...hosts: string[]) => ({ version, hosts, notAfterMs: 0 });

test('a certificate is found by the exact names it was made for', () => {
  const index = new HostIndex();
  expect(index.put('pod', listed(1, 'a.test', '*.b.test'))).toEqual(['a.test', '*.b.test']);
  expect(index.idOf('a.test')).toBe('pod');
  expect(index.idOf('*.b.test')).toBe('pod');
  expect(index.idOf('x.b.test')).toBeUndefined();
  expect([...index.ids()]).toEqual(['pod']);
  expect(index.get('pod')?.version).toBe(1);
});

test('a renewal tells every host that is served differently now', () => {
  const index = new HostIndex();
  index.put('pod', listed(1, 'a.test', 'b.test'));
  const changed = index.put('pod', listed(2, 'b.test', 'c.test'));
  expect(changed.toSorted()).toEqual(['a.test', 'b.test', 'c.test']);
  expect(index.idOf('a.test')).toBeUndefined();
  expect(index.idOf('c.test')).toBe('pod');
  expect(index.size).toBe(1);
});

test('the removal of an older certificate leaves the host to the newer one', () => {
  const index = new HostIndex();
  index.put('old', listed(1, 'a.test'));
  index.put('new', listed(2, 'a.test'));
  index.remove('old');
  expect(index.idOf('a.test')).toBe('new');
  expect(index.remove('new')).toEqual(['a.test']);
  expect(index.idOf('a.test')).toBeUndefined();
  expect(index.remove('new')).toEqual([]);
});

test('names of wildcards for pods are known as long as there is a certificate for them', () => {
  const index = new HostIndex();
  index.put('wildcard', listed(1, '*.pods.a.test'));
  index.put('pod', listed(2, 'x.pods.a.test', '*.other.test'));
  index.put('tenant/b', listed(3, 'b.a.test', '*.pods.b.a.test'));
  expect([...index.wildcards]).toEqual(['*.pods.a.test', '*.pods.b.a.test']);
  index.put('tenant/b', listed(4, 'b.a.test'));
  expect([...index.wildcards]).toEqual(['*.pods.a.test']);
});
