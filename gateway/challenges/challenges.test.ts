import { beforeEach, expect, test } from 'vitest';
import type { Challenge } from '#contracts/challenge.ts';
import { challengeId, challenges as challengesOf, httpChallengeId } from '#contracts/challenge.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { limits } from '../limits.ts';
import { Challenges } from './challenges.ts';
import type { ChallengeMessage } from './desk.ts';
import { ChallengeDesk } from './desk.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const host = 'a.pods.example.test';
const id = httpChallengeId(host, 'token');

let clock: ManualClock;
let asked: string[];
let challenges: Challenges;
let heard: (string | undefined)[];
const hear = (keyAuthorization: string | undefined): void => void heard.push(keyAuthorization);

beforeEach(() => {
  clock = new ManualClock();
  asked = [];
  heard = [];
  challenges = new Challenges({ clock, limits }, (wanted) => asked.push(wanted));
});

const answer = () => ({ keyAuthorization: 'token.key', expiresAtMs: clock.nowMs() + 60_000 });

test('a challenge that was told is answered at once, until it is over or taken back', async () => {
  challenges.told(id, answer());
  challenges.get(id, hear);
  expect(heard).toEqual(['token.key']);
  await clock.advance(60_000);
  expect(challenges.find(id)).toBeUndefined();
  challenges.told(id, answer());
  challenges.told(id, undefined);
  expect(challenges.find(id)).toBeUndefined();
  expect(asked).toEqual([]);
});

test('one that is not known is asked for once, however many want it', () => {
  challenges.get(id, hear);
  challenges.get(id, hear);
  expect(asked).toEqual([id]);
  challenges.told(id, answer());
  expect(heard).toEqual(['token.key', 'token.key']);
});

test('who gets no word in time is told that there is none', async () => {
  challenges.get(id, hear);
  await clock.advance(limits.challengeWaitMs - 1);
  expect(heard).toEqual([]);
  await clock.advance(1);
  expect(heard).toEqual([undefined]);
});

test('beyond the bound nobody is asked', () => {
  for (let number = 0; number <= limits.challengesAskedMax; number += 1) {
    challenges.get(`${id}${number}`, hear);
  }
  expect(asked).toHaveLength(limits.challengesAskedMax);
  expect(heard).toEqual([undefined]);
});

const challenge = (token: string): Challenge => ({
  kind: 'http-01',
  host,
  token,
  keyAuthorization: `${token}.key`,
  expiresAtMs: clock.nowMs() + 60_000,
});

const missing = (): void => expect.unreachable('it is there');

function openDesk(): {
  desk: ChallengeDesk;
  stored: ReturnType<typeof challengesOf>;
  reads: string[];
  told: ChallengeMessage[];
} {
  const stored = challengesOf(new MemoryStore());
  const reads: string[] = [];
  const told: ChallengeMessage[] = [];
  const desk = new ChallengeDesk({
    challenges: {
      ...stored,
      get: (wanted) => {
        reads.push(wanted);
        return stored.get(wanted);
      },
    },
    clock,
    log: silent,
    tell: (message) => void told.push(message),
  });
  return { desk, stored, reads, told };
}

test('one that the desk does not know is read from the store and told to all workers', async () => {
  const { desk, stored, reads, told } = openDesk();
  await stored.put(id, challenge('token'), 'absent');
  await Promise.all([desk.wanted(id, missing), desk.wanted(id, missing)]);
  expect(reads).toEqual([id]);
  expect(told).toEqual([
    {
      kind: 'challenge',
      id,
      answer: { keyAuthorization: 'token.key', expiresAtMs: clock.nowMs() + 60_000 },
    },
  ]);
});

test('a flood of names that do not exist reads the store only so often in a second', async () => {
  const { desk, reads, told } = openDesk();
  let without = 0;
  const flood = Array.from({ length: 10_000 }, (_, number) =>
    desk.wanted(`${id}${number}`, () => (without += 1)),
  );
  await Promise.all(flood);
  expect(reads).toHaveLength(limits.challengeReadsPerSecondMax);
  expect(without).toBe(10_000);
  expect(told).toEqual([]);
});

test('what is stored and removed while it follows is told, and what was there before', async () => {
  const { desk, stored, told } = openDesk();
  const first = challenge('first');
  await stored.put(challengeId(first), first, 'absent');
  const stop = new AbortController();
  const following = desk.follow(stop.signal);
  await expect.poll(() => desk.table.find(challengeId(first))).toBe('first.key');
  const second = challenge('second');
  await stored.put(challengeId(second), second, 'absent');
  await expect.poll(() => desk.table.find(challengeId(second))).toBe('second.key');
  expect([...desk.greeting()]).toHaveLength(2);
  await stored.remove(challengeId(first), 'anything');
  await expect.poll(() => desk.table.find(challengeId(first))).toBeUndefined();
  expect(told.at(-1)).toEqual({ kind: 'challenge', id: challengeId(first), answer: undefined });
  stop.abort();
  await following;
});
