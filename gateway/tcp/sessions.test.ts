import { expect, test } from 'vitest';
import type { CancelOwner } from '#contracts/cancels.ts';
import { ownerOf, PostgresSessions } from './sessions.ts';

const a = { host: '10.0.0.1', port: 5432 };
const b = { host: '10.0.0.2', port: 5432 };
const c = { host: '10.0.0.1', port: 5433 };
const far = (upstream: typeof a): CancelOwner => ({ upstream, near: false });
const near = (upstream: typeof a): CancelOwner => ({ upstream, near: true });

test.each<[string, CancelOwner[], typeof a | undefined]>([
  ['nobody has the key', [], undefined],
  ['one pod has it', [far(a)], a],
  ['one pod has it at two workers', [far(a), far({ ...a })], a],
  ['two pods, and one has a session of this client', [far(b), near(a)], a],
  ['two pods, and neither has one', [far(a), far(b)], undefined],
  ['two pods, and both have one', [near(a), near(b), far(c)], undefined],
  ['two ports of one machine are two pods', [far(a), far(c)], undefined],
])('%s', (_name, owners, expected) => {
  expect(ownerOf(owners)).toEqual(expected);
});

test('a session has its key until it ends', () => {
  const sessions = new PostgresSessions();
  const end = sessions.add('k', { upstream: a, client: 'x', policy: undefined });
  const endOther = sessions.add('k', { upstream: b, client: 'y', policy: undefined });
  expect(sessions.owners('k', 'y')).toEqual([near(b), far(a)]);
  expect(sessions.owners('other', 'y')).toEqual([]);
  endOther();
  expect(sessions.owners('k', 'y')).toEqual([far(a)]);
  end();
  end();
  expect(sessions.owners('k', 'x')).toEqual([]);
  expect(sessions.size).toBe(0);
});

test('a key that is given out again while its last session ends is kept', () => {
  const sessions = new PostgresSessions();
  const first = sessions.add('k', { upstream: a, client: 'x', policy: undefined });
  first();
  sessions.add('k', { upstream: b, client: 'x', policy: undefined });
  first();
  expect(sessions.owners('k', 'x')).toEqual([near(b)]);
});

test('many sessions of one pod are one owner, near if one of them is', () => {
  const sessions = new PostgresSessions();
  for (const client of ['x', 'y', 'z'])
    sessions.add('k', { upstream: a, client, policy: undefined });
  expect(sessions.owners('k', 'y')).toEqual([near(a)]);
});

test('an answer is short, and the near ones are in it', () => {
  const sessions = new PostgresSessions();
  for (let port = 1; port <= 60; port += 1) {
    const client = port === 50 ? 'me' : 'x';
    sessions.add('k', { upstream: { host: 'h', port }, client, policy: undefined });
  }
  const owners = sessions.owners('k', 'me');
  expect(owners).toHaveLength(16);
  expect(ownerOf(owners)).toEqual({ host: 'h', port: 50 });
});

test('a server that gives everybody one key costs no more than a few sessions of it', () => {
  const sessions = new PostgresSessions();
  const ends = Array.from({ length: 20_000 }, () =>
    sessions.add('k', { upstream: a, client: 'x', policy: undefined }),
  );
  const startedMs = performance.now();
  for (let turn = 0; turn < 100; turn += 1) expect(sessions.owners('k', 'x')).toEqual([near(a)]);
  // All 20,000 would be 7 ms each time, and a second of a worker for the hundred.
  expect(performance.now() - startedMs).toBeLessThan(350);
  for (const end of ends) end();
  expect(sessions.size).toBe(0);
});

test('who may not connect may not cancel', () => {
  const sessions = new PostgresSessions();
  sessions.add('k', { upstream: a, client: '192.0.2.1', policy: { allow: ['192.0.2.0/24'] } });
  expect(sessions.owners('k', '192.0.2.9')).toEqual([far(a)]);
  expect(sessions.owners('k', '198.51.100.9')).toEqual([]);
});
