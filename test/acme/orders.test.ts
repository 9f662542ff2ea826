import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { certificateRequests } from '#contracts/certificate-state.ts';
import { challenges } from '#contracts/challenge.ts';
import type { Store } from '#contracts/store.ts';
import { authorityAt, World } from './world.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const id = 'pod/default/shop';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const shop = 'shop.pods.example.org';

test('a pod gets one certificate over all its hosts, and the domain its own; our own stands in for the wildcard', async () => {
  await world.start();
  await world.desire('shop', ['default', 'db']);
  const { chain, issuer } = await world.issued('shop');
  const leaf = new X509Certificate(chain);
  expect(leaf.subjectAltName).toBe('DNS:shop-db.pods.example.org, DNS:shop.pods.example.org');
  expect(issuer).toBe(new URL(world.directoryUrl).host);
  await world.until(async () => (await world.certificate('domain'))?.issuer === issuer);
  expect((await world.certificate('wildcard'))?.issuer).toBe('Podgate own CA');
  expect(await world.state(id)).toMatchObject({ phase: 'active', ca: issuer, order: null });
});

test('answers are published before the authority looks, and gone when it has', async () => {
  const seen: boolean[] = [];
  world.authority.check = async (host, token, thumbprint) => {
    const { documents } = await challenges(world.store).list();
    const wanted = `${token}.${thumbprint}`;
    seen.push(
      documents.some(({ value }) => value.host === host && value.keyAuthorization === wanted),
    );
    return true;
  };
  await world.start();
  await world.desire('shop');
  await world.issued('shop');
  expect(seen).not.toContain(false);
  await world.until(async () => (await challenges(world.store).list()).documents.length === 0);
});

test('another host means another order', async () => {
  await world.start();
  await world.desire('shop');
  await world.issued('shop');
  await world.desire('shop', ['default', 'api']);
  await world.until(async () => (await world.certificate(id))?.hosts.length === 2);
  expect(world.ordersOf(shop)).toHaveLength(2);
});

test('killed at any write or any call, the next program goes on with the same order', async () => {
  // How many there are shows in the last round, which is not killed at all.
  for (let at = 1, killed = true; killed; at += 1) {
    const round = await World.open();
    let left = at;
    let dead = false;
    const step = (): void => {
      if (dead || --left === 0) {
        dead = true;
        throw new Error('killed');
      }
    };
    const mortal: Store = new Proxy(round.store, {
      get(target, name) {
        if (name !== 'put' && name !== 'remove')
          return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name);
        return async (...given: [string, never, never, never]) => {
          if (/^(certificate-states|certificates|challenges|acme-accounts)$/.test(given[0])) step();
          return (target[name] as (...all: unknown[]) => Promise<unknown>).apply(target, given);
        };
      },
    });
    await round.start({}, { holder: 'other' });
    await round.until(async () => round.authority.orders.some(({ status }) => status === 'valid'));
    await round.until(async () => (await round.state('domain'))?.phase === 'active');
    await round.stop();
    round.authority.refuse = () => {
      if (dead) return 'cut';
      if (left-- > 1) return undefined;
      dead = true;
      return 'cut after';
    };
    await round.start({}, { holder: 'one', store: mortal });
    await round.desire('shop');
    await round.until(async () => dead || (await round.state(id))?.phase === 'active');
    killed = dead;
    await round.stop();
    dead = false;
    round.authority.refuse = () => undefined;
    await round.clock.advance(60_000);
    await round.start({}, { holder: 'two' });
    await round.issued('shop', 1000);
    const orders = round.authority.orders.filter(({ hosts }) => hosts.includes(shop));
    expect(orders.length, `killed at step ${at}`).toBe(1);
    await round.close();
    if (at > 60) throw new Error('it never ends');
  }
}, 60_000);

test('two programs make one order', async () => {
  await world.start({}, { holder: 'one' });
  await world.start({}, { holder: 'two' });
  for (const name of ['shop', 'b', 'c', 'd']) await world.desire(name);
  for (const name of ['shop', 'b', 'c', 'd']) await world.issued(name);
  await world.clock.advance(10_000);
  expect(world.authority.orders.map(({ hosts }) => hosts.join()).toSorted()).toEqual(
    [
      'example.org',
      ...['b', 'c', 'd', 'shop'].map((name) => `${name}.pods.example.org`),
    ].toSorted(),
  );
});

test.each([
  ['a limit with Retry-After', { status: 429, type: 'rateLimited', retryAfter: '7200' }, 7_200_000],
  ['trouble of its own', { status: 503, retryAfter: '600' }, 600_000],
])('%s keeps everybody from asking for that long', async (_what, refusal, quietMs) => {
  const stepMs = 20_000;
  let refusedAtMs = 0;
  world.authority.refuse = (call) => {
    if (call !== 'order' || refusedAtMs > 0) return undefined;
    refusedAtMs = world.clock.nowMs();
    return refusal;
  };
  await world.start();
  for (const name of ['shop', 'b', 'c']) await world.desire(name);
  await world.until(async () => world.authority.orders.length >= 3, stepMs);
  const early = world.authority.orders.filter(({ atMs }) => atMs < refusedAtMs + quietMs);
  // Those that were on their way when it refused.
  expect(early.every(({ atMs }) => atMs <= refusedAtMs + stepMs)).toBe(true);
  await world.issued('shop', 20_000);
  expect(world.ordersOf(shop)[0]?.atMs).toBeGreaterThanOrEqual(refusedAtMs + quietMs);
});

test('a failed host waits longer each time, says why, and is well in the end', async () => {
  let wrong = true;
  world.authority.check = async (host) => !(wrong && host === shop);
  await world.start();
  await world.desire('shop');
  await world.until(async () => (await world.state(id))?.failures === 3, 10_000);
  const [first, second, third] = world.ordersOf(shop).map(({ atMs }) => atMs);
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(50_000);
  expect((third ?? 0) - (second ?? 0)).toBeGreaterThan(500_000);
  expect((await world.state(id))?.attempts.at(-1)?.error).toContain('answered wrongly');
  expect((await world.state(id))?.phase).toBe('backoff');
  wrong = false;
  await world.issued('shop', 60_000);
  expect((await world.state(id))?.attempts).toEqual([]);
});

test('after a failure staging goes first; after three the second authority is asked', async () => {
  const second = await World.open();
  const staging = await World.open();
  world.authority.check = async (host) => host !== shop;
  const authorities = {
    real: [authorityAt(world.directoryUrl), authorityAt(second.directoryUrl)],
    staging: authorityAt(staging.directoryUrl),
  };
  // Each authority has a clock of its own; only ours goes here.
  await world.start({ authorities });
  await world.desire('shop');
  const { issuer } = await world.issued('shop', 60_000);
  expect(issuer).toBe(new URL(second.directoryUrl).host);
  expect(world.ordersOf(shop)).toHaveLength(3);
  expect(staging.authority.orders.filter(({ hosts }) => hosts.includes(shop))).toHaveLength(3);
  await second.close();
  await staging.close();
});

test('an authority that is down is left alone; the second one takes its place', async () => {
  const second = await World.open();
  world.authority.refuse = () => ({ status: 500 });
  const authorities = {
    real: [authorityAt(world.directoryUrl), authorityAt(second.directoryUrl)],
    staging: undefined,
  };
  await world.start({ authorities });
  await world.desire('shop');
  expect((await world.issued('shop')).issuer).toBe(new URL(second.directoryUrl).host);
  await second.close();
});

test.each([90, 6])(
  'a certificate of %i days is renewed well before its end',
  async (days) => {
    world.authority.lifeMs = days * dayMs;
    await world.start();
    await world.desire('shop');
    const first = await world.issued('shop');
    await world.until(async () => (await world.certificate(id))?.chain !== first.chain, hourMs);
    const life = first.notAfterMs - first.notBeforeMs;
    expect(world.clock.nowMs()).toBeGreaterThan(first.notBeforeMs + life / 2);
    expect(world.clock.nowMs()).toBeLessThan(first.notBeforeMs + (life * 5) / 6 + hourMs);
  },
  60_000,
);

test('with renewal information one instant of the window is kept, the order names what it replaces', async () => {
  const startMs = world.clock.nowMs() + 10 * dayMs;
  world.authority.window = () => ({ start: new Date(startMs), end: new Date(startMs + dayMs) });
  await world.start({
    authorities: {
      real: [authorityAt(world.directoryUrl, { profile: 'tlsserver' })],
      staging: undefined,
    },
  });
  await world.desire('shop');
  const first = await world.issued('shop');
  const chosen = await world.until(async () => {
    const renewal = (await world.state(id))?.renewal;
    return renewal?.startMs === startMs ? renewal : undefined;
  });
  expect(chosen.atMs).toBeGreaterThanOrEqual(startMs);
  await world.until(async () => (await world.certificate(id))?.chain !== first.chain, hourMs);
  const [, order] = world.ordersOf(shop);
  expect(order?.atMs).toBeGreaterThanOrEqual(chosen.atMs);
  expect(order?.atMs).toBeLessThan(chosen.atMs + 2 * hourMs);
  expect(order?.replaces).toMatch(/^[\w-]+\.[\w-]+$/);
  expect(order?.profile).toBe('tlsserver');
});

test('one that was replaced already is ordered without saying so, once', async () => {
  const startMs = world.clock.nowMs() + dayMs;
  world.authority.window = () => ({ start: new Date(startMs), end: new Date(startMs + 1000) });
  await world.start();
  await world.desire('shop');
  const first = await world.issued('shop');
  const replaces = (await world.state(id))?.replaces ?? '';
  world.authority.replaced.add(replaces);
  await world.until(async () => (await world.certificate(id))?.chain !== first.chain, hourMs);
  expect(world.ordersOf(shop).map((order) => order.replaces)).toEqual([undefined, undefined]);
});

test('a window that has moved into the past means now', async () => {
  let window = {
    start: new Date(world.clock.nowMs() + 60 * dayMs),
    end: new Date(world.clock.nowMs() + 61 * dayMs),
  };
  world.authority.window = () => window;
  await world.start();
  await world.desire('shop');
  const first = await world.issued('shop');
  window = {
    start: new Date(world.clock.nowMs() - dayMs),
    end: new Date(world.clock.nowMs() - hourMs),
  };
  world.authority.window = (asked) =>
    asked === firstId
      ? window
      : {
          start: new Date(world.clock.nowMs() + 60 * dayMs),
          end: new Date(world.clock.nowMs() + 61 * dayMs),
        };
  const firstId = (await world.state(id))?.replaces ?? '';
  await world.until(async () => (await world.certificate(id))?.chain !== first.chain, hourMs, 14);
});

test('a user who asks for a new key gets one', async () => {
  await world.start();
  await world.desire('shop');
  const first = await world.issued('shop');
  await certificateRequests(world.store).put(id, { rotation: 1 }, 'absent');
  const second = await world.until(async () => {
    const found = await world.certificate(id);
    return found && found.chain !== first.chain ? found : undefined;
  });
  const [before, after] = [first, second].map(({ chain }) =>
    new X509Certificate(chain).publicKey.export({ type: 'spki', format: 'pem' }),
  );
  expect(after).not.toBe(before);
});

test('an account that was deactivated is replaced by another', async () => {
  await world.start();
  await world.desire('shop');
  await world.issued('shop');
  await world.clock.advance(2 * dayMs);
  for (const account of world.authority.accounts.values()) account.deactivated = true;
  await world.desire('b');
  await world.issued('b', 1000);
  expect(world.authority.accounts.size).toBe(2);
});

test('an order that is stuck keeps its place and is not made twice', async () => {
  world.authority.onFinalize = 'stuck';
  await world.start();
  await world.desire('shop');
  await world.until(async () => (await world.state(id))?.phase === 'finalizing');
  for (let minute = 0; minute < 20; minute += 1) await world.clock.advance(60_000);
  expect(world.ordersOf(shop)).toHaveLength(1);
}, 60_000);

test('a wrong clock at the authority, and a certificate that is not there yet, do no harm', async () => {
  world.authority.skewMs = 5 * 60_000;
  let missing = 1;
  world.authority.refuse = (call) =>
    call === 'download' && missing-- > 0 ? { status: 404, type: 'malformed' } : undefined;
  await world.start();
  await world.desire('shop');
  await world.issued('shop');
});

test('an account is bound to one outside where the authority wants that', async () => {
  const binding = {
    kid: 'kid-1',
    hmacKey: Buffer.from('a secret of thirty-two bytes....').toString('base64url'),
  };
  world.authority.binding = binding;
  await world.start({
    authorities: { real: [authorityAt(world.directoryUrl, { binding })], staging: undefined },
  });
  await world.desire('shop');
  await world.issued('shop');
});

test('a pod that is deleted keeps its certificate until that ends, for who comes back', async () => {
  await world.start();
  await world.desire('shop');
  const first = await world.issued('shop');
  const { desiredPods } = await import('#contracts/pod.ts');
  await desiredPods(world.store).remove('default/shop', 'anything');
  await world.clock.advance(120_000);
  await world.desire('shop');
  await world.clock.advance(120_000);
  expect((await world.certificate(id))?.chain).toBe(first.chain);
  expect(world.ordersOf(shop)).toHaveLength(1);
});
