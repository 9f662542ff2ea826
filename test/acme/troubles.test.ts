import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readStanding } from '../../certs/limits/standing.ts';
import { authorityAt, World } from './world.ts';

/** What goes wrong at an authority, or with its clock or keys, and what is made of it. */

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const id = 'pod/default/shop';
const shop = 'shop.pods.example.org';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const lastError = async (): Promise<string> =>
  (await world.state(id))?.attempts.at(-1)?.error ?? '';

test('an authority that takes no connections is asked ever more rarely, and everything is issued when it does', async () => {
  await world.start();
  await world.until(async () => (await world.state('domain'))?.phase === 'active');
  const { port } = new URL(world.directoryUrl);
  await world.authority.stop();
  for (const name of ['shop', 'b', 'c']) await world.desire(name);
  await world.until(async () => (await lastError()).includes('cannot be reached'));
  expect((await world.state(id))?.phase).toBe('queued');
  for (let step = 0; step < 12; step += 1) {
    await world.calm();
    await world.clock.advance(10 * minuteMs);
  }
  // Three wait for two hours: pauses double up to an hour, for all of them together.
  const { troubles } = await readStanding(world.store, new URL(world.directoryUrl).host);
  expect(troubles).toBeGreaterThan(4);
  expect(troubles).toBeLessThan(15);
  await world.authority.start(Number(port));
  for (const name of ['shop', 'b', 'c']) await world.issued(name, minuteMs);
  expect(world.ordersOf(shop)).toHaveLength(1);
});

test('an order that the authority gives up at the end is over; the next one comes after the wait', async () => {
  world.authority.onFinalize = 'invalid';
  await world.start();
  await world.desire('shop');
  await world.until(async () => (await world.state(id))?.phase === 'backoff');
  expect(await lastError()).toContain('it would not be signed');
  expect((await world.state(id))?.order).toBeNull();
  world.authority.onFinalize = 'valid';
  await world.issued('shop', 1000);
  const [first, second] = world.ordersOf(shop);
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(50_000);
});

test('a certificate of another key than ours is never used', async () => {
  world.authority.signs = 'another key';
  await world.start();
  await world.desire('shop');
  await world.until(async () => (await world.state(id))?.phase === 'backoff');
  expect(await lastError()).toContain('of another key than ours');
  expect(await world.certificate(id)).toBeUndefined();
  world.authority.signs = 'what was asked for';
  const { chain } = await world.issued('shop', 1000);
  expect(new X509Certificate(chain).subjectAltName).toBe(`DNS:${shop}`);
});

test('with a wrong key of the outer account nothing is ordered, and who looks is told', async () => {
  const kid = 'kid-1';
  const [right, wrong] = ['right', 'wrong'].map((word) => Buffer.alloc(32, word));
  const keys = [right, wrong].map((key) => String(key?.toString('base64url')));
  world.authority.binding = { kid, hmacKey: keys[0] ?? '' };
  const binding = { kid, hmacKey: keys[1] ?? '' };
  const real = [authorityAt(world.directoryUrl, { binding })];
  await world.start({ authorities: { real, staging: undefined } });
  await world.desire('shop');
  await world.until(async () => (await lastError()) !== '');
  expect(await lastError()).toContain('externalAccountRequired');
  await world.clock.advance(hourMs);
  expect(world.authority.orders).toEqual([]);
  expect(JSON.stringify(await world.state(id))).not.toContain(binding.hmacKey);
});

test.each([-12, 12])(
  'with a clock that is %i hours beside the authority’s one order is made, and renewed in time',
  async (hours) => {
    world.authority.skewMs = hours * hourMs;
    world.authority.lifeMs = 4 * dayMs;
    world.authority.refuse = once('order', {
      status: 429,
      type: 'rateLimited',
      // A date by the authority's own clock.
      retryAfter: new Date(world.clock.nowMs() + hours * hourMs + 10 * minuteMs).toUTCString(),
    });
    const startMs = world.clock.nowMs();
    await world.start();
    await world.desire('shop');
    const first = await world.issued('shop', minuteMs / 2);
    const [order] = world.ordersOf(shop);
    expect(order?.atMs).toBeGreaterThan(startMs + 9 * minuteMs);
    expect(order?.atMs).toBeLessThan(startMs + 20 * minuteMs);
    for (let step = 0; step < 4; step += 1) {
      await world.calm();
      await world.clock.advance(3 * hourMs);
    }
    expect(world.ordersOf(shop)).toHaveLength(1);
    const renewed = async () => (await world.certificate(id))?.chain !== first.chain;
    await world.until(renewed, hourMs / 2);
    // By either clock it had not ended.
    expect(world.clock.nowMs() + Math.max(0, hours * hourMs)).toBeLessThan(first.notAfterMs);
  },
  60_000,
);

/** Refuses the first call of a kind. */
function once(call: string, refusal: ReturnType<World['authority']['refuse']>) {
  let left = 1;
  return (asked: string) => (asked === call && left-- > 0 ? refusal : undefined);
}
