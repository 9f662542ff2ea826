import { expect, test } from 'vitest';
import { allowed, inBlocks, isBlock } from './allowed.ts';

test.each<[string, readonly string[], boolean]>([
  ['203.0.113.7', ['203.0.113.7'], true],
  ['203.0.113.8', ['203.0.113.7'], false],
  ['203.0.113.255', ['203.0.113.0/24'], true],
  ['203.0.114.0', ['203.0.113.0/24'], false],
  ['203.0.113.129', ['203.0.113.128/25'], true],
  ['203.0.113.127', ['203.0.113.128/25'], false],
  ['203.0.113.9', ['203.0.113.129/24'], true], // host bits in a block say nothing
  ['8.8.8.8', ['0.0.0.0/0'], true],
  ['2001:db8::1', ['0.0.0.0/0'], false],
  ['2001:db8::1', ['2001:db8::/32'], true],
  ['2001:0DB8:0:0::1', ['2001:db8::1'], true],
  ['2001:db9::1', ['2001:db8::/32'], false],
  ['2001:db8::1', ['::/0'], true],
  ['fe80::1%eth0', ['fe80::/10'], true],
  ['10.0.0.1', ['192.0.2.0/24', '2001:db8::/32', '10.0.0.0/8'], true],
  ['10.0.0.1', [], false],
  ['', ['0.0.0.0/0', '::/0'], false],
  ['example.org', ['0.0.0.0/0', '::/0'], false],
])('%s in %j: %s', (address, blocks, expected) => {
  expect(inBlocks(blocks, address)).toBe(expected);
});

test('a block that cannot be read admits nobody and harms no other', () => {
  const blocks = ['nonsense', '10.0.0.0/33', '::/129', '10.0.0.0/08', '192.0.2.1'];
  expect(inBlocks(blocks, '10.0.0.1')).toBe(false);
  expect(inBlocks(blocks, '192.0.2.1')).toBe(true);
});

test('without a list everybody is allowed, with an empty one nobody', () => {
  expect(allowed(undefined, '192.0.2.1')).toBe(true);
  expect(allowed({}, '192.0.2.1')).toBe(true);
  expect(allowed({ allow: [] }, '192.0.2.1')).toBe(false);
  expect(allowed({ allow: ['192.0.2.0/24'] }, '192.0.2.1')).toBe(true);
});

test.each<[string, boolean]>([
  ['10.0.0.0/8', true],
  ['10.0.0.1', true],
  ['2001:db8::/32', true],
  ['::', true],
  ['10.0.0.0/33', false],
  ['::/129', false],
  ['10.0.0.0/', false],
  ['10.0.0.0/08', false],
  ['10.0.0.0/8/8', false],
  ['10.1', false],
  ['fe80::1%eth0', false],
  ['', false],
])('%j is a block: %s', (text, expected) => {
  expect(isBlock(text)).toBe(expected);
});
