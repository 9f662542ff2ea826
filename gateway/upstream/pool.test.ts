import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Address, Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Deadlines } from '../deadlines.ts';
import { limits } from '../limits.ts';
import type { Upstream, UpstreamUser, Wanted } from './pool.ts';
import { UpstreamPool } from './pool.ts';
import { exampleRoute } from '../../test/gateway-examples.ts';

let clock: ManualClock;
let deadlines: Deadlines;
let pool: UpstreamPool;
let server: net.Server;
let address: Address;
let accepted: net.Socket[];
let taken: Upstream[];

const route = exampleRoute({ upstream: null });

class User implements UpstreamUser {
  received = '';
  gone: Error | true | undefined;
  upstreamData(bytes: Buffer, length: number): void {
    this.received += bytes.toString('latin1', 0, length);
  }
  upstreamDrain(): void {
    // Nothing waits here.
  }
  upstreamGone(error: Error | undefined): void {
    this.gone = error ?? true;
  }
}

beforeEach(async () => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  pool = new UpstreamPool(deadlines, {
    ...limits,
    upstreamIdlePerRouteMax: 2,
    upstreamIdleTotalMax: 3,
  });
  accepted = [];
  taken = [];
  server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    accepted.push(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const bound = server.address();
  address = { host: '127.0.0.1', port: typeof bound === 'object' ? (bound?.port ?? 0) : 0 };
});

afterEach(() => {
  deadlines.stop();
  for (const { socket } of taken) socket.destroy();
  for (const socket of accepted) socket.destroy();
  server.close();
});

async function take(
  of: Partial<Route> = {},
  user = new User(),
  wanted: Wanted = 'pooled',
): Promise<Upstream> {
  const upstream = pool.take({ ...route, ...of }, address, user, wanted);
  taken.push(upstream);
  if (upstream.socket.connecting) await once(upstream.socket, 'connect');
  await until(() => accepted.length >= new Set(taken).size);
  return upstream;
}

const megabytes = 32 * 1024 * 1024;

const until = (condition: () => unknown): Promise<void> =>
  expect.poll(() => Boolean(condition()), { timeout: 5_000, interval: 2 }).toBe(true);

test('a connection that was given back serves the same network of the same pod again', async () => {
  const first = await take();
  expect(first.reused).toBe(false);
  pool.release(first);
  const second = await take();
  expect(second).toBe(first);
  expect(second.reused).toBe(true);
});

test.each([{ tenant: 'other' }, { pod: 'b' }, { network: 'second' }])(
  'it serves nobody else, not even at the same address: %j',
  async (other) => {
    const first = await take();
    pool.release(first);
    expect(await take(other)).not.toBe(first);
  },
);

test('who needs a fresh connection gets one', async () => {
  const first = await take();
  pool.release(first);
  expect(await take({}, new User(), 'fresh')).not.toBe(first);
});

test('a connection in use is not given to a second user', async () => {
  expect(await take()).not.toBe(await take());
});

test('one that is going down is passed over, though its end is not reported yet', async () => {
  const [first, second] = [await take(), await take()];
  pool.release(first);
  pool.release(second);
  second.socket.destroy();
  expect(await take()).toBe(first);
  expect(await take()).not.toBe(second);
});

test.each<[string, (socket: net.Socket) => void]>([
  ['closes it', (socket) => socket.end()],
  ['sends what nobody asked for', (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n')],
  ['resets it', (socket) => socket.resetAndDestroy()],
])('an idle connection is lost when the pod %s', async (_name, act) => {
  const first = await take();
  pool.release(first);
  for (const socket of accepted) act(socket);
  await until(() => first.socket.destroyed);
  expect(await take()).not.toBe(first);
});

test('an idle connection ends before the pod would end it', async () => {
  const first = await take();
  pool.release(first);
  await clock.advance(limits.upstreamIdleMs - 1_000);
  expect(first.socket.destroyed).toBe(false);
  await clock.advance(2_000);
  expect(first.socket.destroyed).toBe(true);
});

test('so many stay idle per network, and so many in all', async () => {
  const ofOne = [await take(), await take(), await take()];
  for (const upstream of ofOne) pool.release(upstream);
  expect(ofOne.map(({ socket }) => socket.destroyed)).toEqual([false, false, true]);
  const others = [await take({ pod: 'b' }), await take({ pod: 'b' })];
  for (const upstream of others) pool.release(upstream);
  expect(others.map(({ socket }) => socket.destroyed)).toEqual([false, true]);
  await take();
  const next = await take({ pod: 'c' });
  pool.release(next);
  expect(next.socket.destroyed).toBe(false);
});

test.each<[string, (upstream: Upstream) => void]>([
  ['of a body', ({ socket }) => socket.write(Buffer.alloc(megabytes))],
  ['of a head', (upstream) => upstream.send('x'.repeat(megabytes))],
])('a connection with bytes %s still to be sent is not kept', async (_, write) => {
  const upstream = await take();
  accepted[0]?.pause();
  write(upstream);
  pool.release(upstream);
  expect(upstream.socket.destroyed).toBe(true);
});

test('a head and a body arrive in the order they were sent, also at a slow pod', async () => {
  const upstream = await take();
  const gotten: Buffer[] = [];
  accepted[0]?.pause();
  upstream.send('a'.repeat(megabytes));
  upstream.socket.write('b'.repeat(megabytes));
  accepted[0]?.on('data', (bytes: Buffer) => gotten.push(bytes));
  accepted[0]?.resume();
  await until(() => gotten.reduce((sum, { length }) => sum + length, 0) === 2 * megabytes);
  expect(String(Buffer.concat(gotten))).toBe('a'.repeat(megabytes) + 'b'.repeat(megabytes));
});

test('its user hears of an end once, with the error if there was one', async () => {
  const orderly = new User();
  const broken = new User();
  await take({}, orderly);
  accepted[0]?.end('bye');
  await until(() => orderly.gone);
  expect(orderly).toMatchObject({ received: 'bye', gone: true });
  await take({}, broken);
  accepted[1]?.resetAndDestroy();
  await until(() => broken.gone);
  expect(broken.gone).toMatchObject({ code: 'ECONNRESET' });
});

test('a connection that is not there in time is given up, one that is has time', async () => {
  const user = new User();
  const upstream = pool.take(route, address, user);
  expect(upstream.deadlineMs).toBe(deadlines.nowMs + limits.upstreamConnectMs);
  upstream.expire();
  await until(() => user.gone);
  expect(user.gone).toMatchObject({ message: 'timed out' });
  expect((await take()).deadlineMs).toBe(Infinity);
});
