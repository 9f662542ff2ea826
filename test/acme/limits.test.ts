import { afterEach, beforeEach, expect, test } from 'vitest';
import { certificateRequests } from '#contracts/certificate-state.ts';
import { noLimits } from '../../certs/limits/budget.ts';
import { authorityAt, World } from './world.ts';

/** What an authority gives, and when it wants to be left alone: by what certs does about it. */

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const id = 'pod/default/shop';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const start = (more: Parameters<typeof authorityAt>[1]) =>
  world.start({
    authorities: { real: [authorityAt(world.directoryUrl, more)], staging: undefined },
  });
const ordersOf = (pod: string) => world.ordersOf(`${pod}.pods.example.org`);

test('more certificates of the same hosts than it gives are waited for, by nobody else', async () => {
  await start({ limits: { ...noLimits, sameHosts: { size: 2, refillMs: 10 * hourMs } } });
  await world.desire('shop');
  await world.issued('shop');
  for (const rotation of [1, 2]) {
    const expected = rotation === 1 ? 'absent' : 'anything';
    await certificateRequests(world.store).put(id, { rotation }, expected);
    await world.until(async () => {
      const state = await world.state(id);
      return (state?.rotation === rotation && !state.order) || state?.nextAttemptAtMs;
    });
  }
  const state = await world.state(id);
  const [, second] = ordersOf('shop');
  const nextMs = (state?.nextAttemptAtMs ?? 0) - (second?.atMs ?? 0);
  expect(nextMs / hourMs).toBeCloseTo(10, 1);
  expect(state?.attempts.at(-1)?.error).toMatch(/has made 2 certificates of these hosts/);
  await world.desire('wiki');
  await world.issued('wiki');
  expect(ordersOf('shop')).toHaveLength(2);
  await world.until(async () => (await world.state(id))?.rotation === 2, 10 * minuteMs);
  const waitedMs = (ordersOf('shop')[2]?.atMs ?? 0) - (second?.atMs ?? 0);
  expect(waitedMs / hourMs).toBeGreaterThan(9.9);
}, 60_000);

test('a renewal that names what it replaces in its window is none of those', async () => {
  const startMs = world.clock.nowMs() + hourMs;
  let windows = 0;
  world.authority.window = () => {
    windows += 1;
    const from = windows === 1 ? startMs : world.clock.nowMs() + 60 * dayMs;
    return { start: new Date(from), end: new Date(from + hourMs) };
  };
  world.authority.lifeMs = 90 * dayMs;
  await start({ limits: { ...noLimits, sameHosts: { size: 1, refillMs: 100 * dayMs } } });
  await world.desire('shop');
  const first = await world.issued('shop');
  await world.until(
    async () => (await world.certificate(id))?.chain !== first.chain,
    10 * minuteMs,
  );
  expect(ordersOf('shop')).toHaveLength(2);
  const [budget, ...others] = (await world.state(id))?.setBudgets ?? [];
  expect(budget?.tokens).toBe(0);
  expect(others).toEqual([]);
}, 60_000);

test('a directory that says when to come back is left alone, and the order has its profile', async () => {
  let refusedAtMs = 0;
  world.authority.refuse = (call) => {
    if (call !== 'directory' || refusedAtMs > 0) return undefined;
    refusedAtMs = world.clock.nowMs();
    return { status: 503, retryAfter: '3600' };
  };
  await start({ profile: 'tlsserver' });
  await world.desire('shop');
  await world.issued('shop', minuteMs);
  const [order] = ordersOf('shop');
  expect(order?.profile).toBe('tlsserver');
  expect(order?.atMs).toBeGreaterThanOrEqual(refusedAtMs + hourMs);
});

test('renewal information that says when to come back keeps everybody away for as long', async () => {
  let refusedAtMs = 0;
  world.authority.window = () => {
    const from = world.clock.nowMs() + 60 * dayMs;
    return { start: new Date(from), end: new Date(from + dayMs) };
  };
  const early: string[] = [];
  world.authority.refuse = (call) => {
    const sinceMs = world.clock.nowMs() - refusedAtMs;
    if (refusedAtMs > 0 && sinceMs > minuteMs && sinceMs < 3 * hourMs) early.push(call);
    if (call !== 'info' || refusedAtMs > 0) return undefined;
    refusedAtMs = world.clock.nowMs();
    return { status: 503, retryAfter: String((3 * hourMs) / 1000) };
  };
  await start({});
  await world.until(async () => refusedAtMs > 0);
  await world.clock.advance(minuteMs);
  await world.desire('shop');
  await world.issued('shop', 5 * minuteMs);
  expect(early).toEqual([]);
  expect(ordersOf('shop')[0]?.atMs).toBeGreaterThanOrEqual(refusedAtMs + 3 * hourMs);
  const renewal = await world.until(async () => {
    const found = (await world.state(id))?.renewal;
    return found && found.startMs > world.clock.nowMs() + 59 * dayMs ? found : undefined;
  }, minuteMs);
  expect(renewal.askAgainAtMs).not.toBeNull();
});

test('an order under way at an authority that is away holds up no others, where there is a second one', async () => {
  const second = await World.open();
  world.authority.refuse = (call) =>
    call === 'finalize' ? { status: 503, retryAfter: '7200' } : undefined;
  const real = [authorityAt(world.directoryUrl), authorityAt(second.directoryUrl)];
  await world.start({ authorities: { real, staging: undefined } });
  await world.until(async () => {
    const state = await world.state('domain');
    return state?.order?.url && state.attempts.length > 0;
  });
  const beganMs = world.clock.nowMs();
  await world.desire('shop');
  expect((await world.issued('shop')).issuer).toBe(new URL(second.directoryUrl).host);
  expect(world.clock.nowMs() - beganMs).toBeLessThan(hourMs);
  await second.close();
});
