import { expect, test } from 'vitest';
import { judge } from './configuration.ts';

const good = {
  maxmemory: '0',
  'maxmemory-policy': 'noeviction',
  appendonly: 'yes',
  appendfsync: 'always',
  'no-appendfsync-on-rewrite': 'no',
};
const judged = (changes: Partial<typeof good>, waitReplicas = 0, version = 7) =>
  judge(version, new Map(Object.entries({ ...good, ...changes })), waitReplicas);

test('what README asks for is fine', () => {
  expect(judged({})).toEqual({ refusal: undefined, warnings: [] });
  expect(judged({ maxmemory: '1000000' })).toEqual({ refusal: undefined, warnings: [] });
});

test('a server that would drop documents is refused, by the setting', () => {
  const evicting = { maxmemory: '1000000', 'maxmemory-policy': 'allkeys-lru' };
  expect(judged(evicting).refusal).toMatch(/maxmemory-policy is allkeys-lru.*noeviction/);
});

test('one that would if its memory were bounded is warned of', () => {
  const { refusal, warnings } = judged({ 'maxmemory-policy': 'volatile-ttl' });
  expect(refusal).toBeUndefined();
  expect(warnings).toEqual([expect.stringMatching(/maxmemory-policy is volatile-ttl/)]);
});

test.each([
  [{ appendonly: 'no' }, 0, /appendonly is no/],
  [{ appendonly: 'no' }, 1, /appendonly is no/],
  [{ appendfsync: 'everysec' }, 0, /appendfsync is everysec.*always/],
  [{ 'no-appendfsync-on-rewrite': 'yes' }, 0, /no-appendfsync-on-rewrite/],
])('%j with %i replicas is warned of', (changes, waitReplicas, words) => {
  expect(judged(changes, waitReplicas).warnings).toEqual([expect.stringMatching(words)]);
});

test('with replicas to wait for, the disk may be a second late', () => {
  expect(judged({ appendfsync: 'everysec' }, 1).warnings).toEqual([]);
});

test('an old server is refused, and one that does not tell is warned of', () => {
  expect(judged({}, 0, 6).refusal).toMatch(/version 6.*Redis 7/);
  expect(judge(7, undefined, 0).warnings).toEqual([expect.stringMatching(/CONFIG GET is refused/)]);
});
