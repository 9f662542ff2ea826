import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { AddressLimits, clientOf } from './address-limits.ts';
import { Deadlines } from './deadlines.ts';
import { limits } from './limits.ts';

const few = {
  ...limits,
  addressConnectionsMax: 3,
  addressBurst: 5,
  addressConnectionsPerSecond: 2,
  addressesRememberedMax: 4,
};
const client = '192.0.2.1';

let clock: ManualClock;
let deadlines: Deadlines;
let addresses: AddressLimits;

beforeEach(() => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  addresses = new AddressLimits(few, deadlines, ['203.0.113.0/24']);
});
afterEach(() => deadlines.stop());

/** How many of so many connections are served, each ended before the next. */
function served(address: string, tries: number): number {
  let count = 0;
  for (let at = 0; at < tries; at += 1) {
    if (!addresses.opened(address)) continue;
    count += 1;
    addresses.closed(address);
  }
  return count;
}

test('a client has so many connections at once, and another when one has ended', () => {
  const opened = (): boolean => addresses.opened(client);
  expect([opened(), opened(), opened(), opened()]).toEqual([true, true, true, false]);
  addresses.closed(client);
  expect([opened(), opened()]).toEqual([true, false]);
});

test('a client opens so many at once, then so many a second', async () => {
  expect(served(client, 20)).toBe(5);
  await clock.advance(1_000);
  expect(served(client, 20)).toBe(2);
  await clock.advance(60_000);
  expect(served(client, 20)).toBe(5);
});

test('connections that stay open count against the rate like those that end', async () => {
  expect([1, 2, 3].map(() => addresses.opened(client))).toEqual([true, true, true]);
  addresses.closed(client);
  addresses.closed(client);
  expect(served(client, 20)).toBe(2);
  await clock.advance(1_000);
  expect(served(client, 20)).toBe(2);
});

test('one client takes nothing from another', () => {
  served(client, 20);
  expect(served('192.0.2.2', 20)).toBe(5);
});

test('a /64 is one client', () => {
  expect(served('2001:db8:0:1::1', 3)).toBe(3);
  expect(served('2001:db8:0:1:ffff:ffff:ffff:ffff', 20)).toBe(2);
  expect(served('2001:db8:0:2::1', 20)).toBe(5);
});

test.each(['127.0.0.1', '127.9.9.9', '::1', '203.0.113.7'])('%s is not counted', (address) => {
  expect(served(address, 1_000)).toBe(1_000);
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
  ['2001:db8::6', '2001:db8:0:0::/64'],
  ['::2001:db8', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['2001::4:5:6:7:192.0.2.1', '2001:0:4:5::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
])('%s is the client %s', (address, expected) => {
  expect(clientOf(address)).toBe(expected);
});

test('what is remembered is bounded: the latest, and all that have something open', () => {
  expect(addresses.opened('192.0.2.100')).toBe(true);
  for (let at = 0; at < 5; at += 1) served(`192.0.2.${at}`, 20);
  // The first is forgotten and begins anew; the last and the open one are not.
  expect(served('192.0.2.0', 20)).toBe(5);
  expect(served('192.0.2.4', 20)).toBe(0);
  expect(served('192.0.2.100', 20)).toBe(4);
});
