import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sessionTickets, ticketKeyId } from './ticket-key.ts';
import { StoreUnavailable } from '#contracts/store.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { SessionTicketPorts } from './session-tickets.ts';
import { SessionTickets, ticketEpochMs } from './session-tickets.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
let folder: string;
let clock: ManualClock;
let ports: SessionTicketPorts;
let stop: AbortController;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-tickets-'));
  clock = new ManualClock();
  stop = new AbortController();
  ports = {
    tickets: sessionTickets(new MemoryStore()),
    sealer: openSealer(join(folder, 'key')),
    clock,
    random: systemRandom,
    log: silent,
    changed: () => undefined,
  };
});
afterEach(() => {
  stop.abort();
  // What was under way may still write its file.
  rmSync(folder, { recursive: true, maxRetries: 5 });
});

const fileOf = (name: string): string => join(folder, name, 'tickets.json');

async function started(name: string, more: Partial<SessionTicketPorts> = {}) {
  const tickets = new SessionTickets(fileOf(name), { ...ports, ...more });
  await tickets.start();
  return tickets;
}

const away: SessionTicketPorts['tickets'] = {
  get: () => Promise.reject(new StoreUnavailable('away')),
  put: () => Promise.reject(new StoreUnavailable('away')),
  watch: async function* () {},
};

test('gateways that start at once have one master', async () => {
  const [one, two] = await Promise.all([started('one'), started('two')]);
  expect(one.master).toEqual(two.master);
  expect(one.master).toHaveLength(32);
});

test('one that starts without the store has the master of its last run', async () => {
  const { master } = await started('one');
  const again = await started('one', { tickets: away });
  expect(again.master).toEqual(master);
  const elsewhere = await started('two', { tickets: away });
  expect(elsewhere.master).not.toEqual(master);
});

test('the master rests sealed in the store and on disk', async () => {
  const { master } = await started('one');
  const text = master.toString('base64url');
  const stored = JSON.stringify(await ports.tickets.get(ticketKeyId));
  const kept = readFileSync(fileOf('one'), 'utf8');
  expect(stored).toContain('v1.');
  expect(kept).toContain('v1.');
  expect(stored).not.toContain(text);
  expect(kept).not.toContain(text);
});

test('an epoch later all have another, and only one of them', async () => {
  const changes: string[] = [];
  const changed = (master: Buffer): void => void changes.push(master.toString('hex'));
  const [one, two] = await Promise.all([started('one', { changed }), started('two')]);
  const before = one.master;
  const following = [one.follow(stop.signal), two.follow(stop.signal)];
  await clock.advance(ticketEpochMs - 60_000);
  expect(one.master).toEqual(before);
  for (let turn = 0; turn < 50 && one.master.equals(before); turn += 1) await clock.advance(60_000);
  for (let turn = 0; turn < 50 && two.master.equals(before); turn += 1) await clock.advance(1);
  expect(one.master).not.toEqual(before);
  expect(two.master).toEqual(one.master);
  expect(changes).toHaveLength(2);
  stop.abort();
  await Promise.all(following);
});
