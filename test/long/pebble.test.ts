import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { certificateStates } from '#contracts/certificate-state.ts';
import { challenges } from '#contracts/challenge.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { AcmeAccount } from '../../certs/acme/account.ts';
import { clockAhead, PebbleWorld } from '../acme/pebble-world.ts';
import { listening } from '../gateway-examples.ts';
import { Bind, bindProgram } from '../programs/bind.ts';
import { pebbleProgram } from '../programs/pebble.ts';
import { available } from '../programs/run.ts';

/** The certs program with a real pebble: every second nonce is refused, no proof is used twice. */

const program = (await available('certificates of a real pebble', pebbleProgram)) ?? '';
const bindFile = (await available('validations of a real pebble', bindProgram)) ?? '';

const many = 1_000;
const boundMs = 170_000;
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const ids = (count: number, name = 'p') => Array.from({ length: count }, (_, at) => `${name}${at}`);
const hostOf = (podId: string): string => `${podId}.pods.example.test`;

async function timed(what: string, work: () => Promise<void>): Promise<void> {
  const startMs = performance.now();
  await work();
  const seconds = (performance.now() - startMs) / 1_000;
  process.stderr.write(`${what}: ${seconds.toFixed(1)} s, ${(many / seconds).toFixed(0)}/s\n`);
}

test.skipIf(!program)(
  '1,000 pods are issued in one run, and renew when one window ends',
  async () => {
    await using world = await PebbleWorld.open(program);
    const pods = ids(many);
    await world.start();
    await world.desire(pods);
    await timed('1,000 issued', () =>
      world.until(async () => (await world.issued()).size === many, boundMs),
    );
    const first = await world.issued();
    for (const [podId, { chain }] of first)
      expect(new X509Certificate(chain).subjectAltName).toBe(`DNS:${hostOf(podId)}`);
    // One for each, and the domain's.
    expect(world.pebble.orders).toBe(many + 1);

    await world.stop();
    const clock = clockAhead(dayMs);
    await allAreDue(world, { pods, nowMs: clock.nowMs() });
    await world.start({ holder: 'two', clock });
    const renewed = async (): Promise<number> => {
      const now = await world.issued();
      expect(now.size).toBe(many);
      return pods.filter((podId) => now.get(podId)?.chain !== first.get(podId)?.chain).length;
    };
    await timed('1,000 renewed', () =>
      world.until(async () => (await renewed()) === many, boundMs),
    );
    await world.stop();
    expect(world.pebble.orders).toBe(2 * many + 1);
    const next = [...(await world.issued()).values()].map(({ renewAtMs }) => renewAtMs);
    // The storm does not come again: the next time is chosen for each anew.
    const spreadMs = Math.max(...next) - Math.min(...next);
    expect(spreadMs).toBeGreaterThan(30 * dayMs);
  },
);

/** As when an authority says so of all that it has made: the window is now. */
async function allAreDue(
  { store }: PebbleWorld,
  { pods, nowMs }: { readonly pods: readonly string[]; readonly nowMs: number },
): Promise<void> {
  const window = { startMs: nowMs - minuteMs, endMs: nowMs + 60 * minuteMs, atMs: nowMs };
  for (const podId of pods) {
    const id = `pod/default/${podId}`;
    const state = await certificateStates(store).get(id);
    if (!state) throw new Error(`${id} has no state`);
    const due = { ...state.value, renewal: { ...window, askAgainAtMs: null } };
    await certificateStates(store).put(id, due, 'anything');
  }
}

test.skipIf(!program)('two programs that want the same make one order for each host', async () => {
  await using world = await PebbleWorld.open(program);
  const pods = ids(100);
  await Promise.all(['one', 'two'].map((holder) => world.start({ holder })));
  await world.desire(pods);
  await world.until(async () => (await world.issued()).size === pods.length);
  await world.stop();
  expect(world.pebble.orders).toBe(pods.length + 1);
});

test.skipIf(!program)('validations that take seconds are waited for', async () => {
  await using world = await PebbleWorld.open(program, { lateSeconds: 5 });
  const pods = ids(40);
  await world.start();
  await world.desire(pods);
  await world.until(async () => (await world.issued()).size === pods.length);
  expect(world.pebble.orders).toBe(pods.length + 1);
  expect((await world.state('p0'))?.attempts).toEqual([]);
});

test.skipIf(!program)(
  'where accounts are bound to others, ours is; with a wrong key the pod is told so',
  async () => {
    // As in the configuration that Debian's pebble brings as an example.
    const kid = 'kid-1';
    const hmacKey = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';
    await using world = await PebbleWorld.open(program, { bindings: { [kid]: hmacKey } });
    const wrong = { kid, hmacKey: hmacKey.toLowerCase() };
    await world.start({ authority: { binding: wrong } });
    await world.desire(['shop']);
    await world.until(async () => ((await world.state('shop'))?.attempts.length ?? 0) > 0);
    const error = (await world.state('shop'))?.attempts.at(-1)?.error;
    expect(error).toMatch(/external account binding/i);
    expect(error).not.toContain(wrong.hmacKey);
    await world.stop();
    expect(world.pebble.orders).toBeNaN();
    // Whoever mends the setting waits no longer than the host has to after a failure.
    const clock = clockAhead(2 * minuteMs);
    await world.start({ holder: 'two', authority: { binding: { kid, hmacKey } }, clock });
    await world.until(async () => (await world.issued()).size === 1);
  },
);

test.skipIf(!program)('an account that was deactivated is replaced by another', async () => {
  await using world = await PebbleWorld.open(program);
  await world.start({ clock: clockAhead(-2 * dayMs) });
  await world.desire(['a']);
  await world.until(async () => (await world.issued()).size === 1);
  await world.stop();
  await deactivate(world);
  await world.start({ holder: 'two' });
  await world.desire(['b']);
  await world.until(async () => (await world.issued()).size === 2);
});

async function deactivate(world: PebbleWorld): Promise<void> {
  const session = await new AcmeAccount(world.ports, world.authority()).session();
  await session.updateAccount({ status: 'deactivated' });
}

test.skipIf(!program || !bindFile)(
  'a host that does not answer waits, says why, and gets its certificate when it does',
  async () => {
    const bind = await Bind.start(bindFile);
    let answers = false;
    const { server } = bind.settings;
    const answerer = createServer((request, response) => {
      void (async () => {
        const token = request.url?.split('/').at(-1);
        const { documents } = await challenges(world.store).list();
        const found = documents.find(
          ({ value }) => value.kind === 'http-01' && value.token === token,
        );
        response.end(answers ? found?.value.keyAuthorization : 'something else');
      })();
    });
    const http = await listening(answerer);
    await using world = await PebbleWorld.open(program, {
      dns: `${server.host}:${server.port}`,
      validated: { http, https: http },
    });
    await world.start();
    await world.desire(['shop']);
    await world.until(async () => (await world.state('shop'))?.phase === 'backoff');
    const state = await world.state('shop');
    expect(state?.attempts.at(-1)?.error).toContain(hostOf('shop'));
    expect(state?.order).toBeNull();
    expect(state?.nextAttemptAtMs).toBeGreaterThan(systemClock.nowMs() + minuteMs / 2);
    await world.stop();
    answers = true;
    await world.start({ holder: 'two', clock: clockAhead(2 * minuteMs) });
    await world.until(async () => (await world.issued()).size === 1);
    await bind.stop();
    answerer.close();
    answerer.closeAllConnections();
  },
);
