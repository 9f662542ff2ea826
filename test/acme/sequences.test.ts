import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Store } from '#contracts/store.ts';
import type { Refusal } from './server.ts';
import { World } from './world.ts';

/** Whatever comes in whatever order: faults of the authority, programs that are killed, time that passes. */

const asked = process.env['PODGATE_TEST_ACME_RUNS'];
const runs = Number(asked ?? 6);
/** The same few each time, unless more are asked for. */
const seed = asked === undefined ? { seed: 1 } : {};
const minuteMs = 60_000;
const retryAfterMs = 30 * minuteMs;
const stepsOfAdvance = 12;
/** What was on its way when the authority refused may still come; the clock goes on meanwhile. */
const stepsOnTheWay = 6;

const pods = ['shop', 'wiki'] as const;
const refusals: readonly (Refusal | 'cut' | 'cut after')[] = [
  'cut',
  'cut after',
  { status: 500 },
  { status: 503, retryAfter: String(retryAfterMs / 1000) },
  { status: 429, type: 'rateLimited', retryAfter: String(retryAfterMs / 1000) },
];

const happening = fc.oneof(
  fc.record({
    kind: fc.constant('desire' as const),
    pod: fc.constantFrom(...pods),
    networks: fc.constantFrom(['default'], ['default', 'api'], ['api', 'db']),
  }),
  fc.record({
    kind: fc.constant('refuse' as const),
    call: fc.constantFrom('directory', 'order', 'look', 'prove', 'finalize', 'download'),
    refusal: fc.constantFrom(...refusals),
  }),
  fc.record({ kind: fc.constant('proofs' as const), right: fc.boolean() }),
  fc.record({
    kind: fc.constant('signing' as const),
    becomes: fc.constantFrom('valid' as const, 'invalid' as const),
  }),
  fc.constant({ kind: 'kill' as const }),
  fc.constant({ kind: 'second' as const }),
  fc.record({
    kind: fc.constant('advance' as const),
    ms: fc.constantFrom(2_000, 10_000, 2 * minuteMs, 20 * minuteMs, 2 * 60 * minuteMs),
  }),
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

/** Runs in any case: a host is added while the order for the others is held up. */
const heldUp: Happening[] = [
  { kind: 'refuse', call: 'prove', refusal: { status: 503, retryAfter: '1800' } },
  { kind: 'advance', ms: 2_000 },
  { kind: 'desire', pod: 'shop', networks: ['default', 'api'] },
  { kind: 'advance', ms: 120 * minuteMs },
];

/** Runs in any case: a limit is met, and others want certificates as well. */
const limited: Happening[] = [
  {
    kind: 'refuse',
    call: 'order',
    refusal: { status: 429, type: 'rateLimited', retryAfter: '1800' },
  },
  { kind: 'advance', ms: 10_000 },
  { kind: 'desire', pod: 'wiki', networks: ['default'] },
  { kind: 'advance', ms: 20 * minuteMs },
  { kind: 'kill' },
  { kind: 'advance', ms: 2 * minuteMs },
];

/** Runs in any case: the one request that is tried again within its order is told to wait. */
const downloadWaits: Happening[] = [
  { kind: 'refuse', call: 'download', refusal: { status: 503, retryAfter: '1800' } },
  { kind: 'advance', ms: 10_000 },
  { kind: 'desire', pod: 'wiki', networks: ['default'] },
  { kind: 'advance', ms: 20 * minuteMs },
];

/** A world that is watched: what must never be is written to `wrong`. */
class Watched {
  readonly wrong: string[] = [];
  readonly #world: World;
  /** Orders of which the authority's address was stored: others nobody can know of. */
  readonly #known = new Set<string>();
  #lives: { dead: boolean }[] = [];
  #started = 0;
  #steps = 0;
  #refused: { step: number; untilMs: number } | undefined;
  #next: Extract<Happening, { kind: 'refuse' }> | undefined;

  constructor(world: World) {
    this.#world = world;
    const { authority, clock } = world;
    authority.onOrder = (order) => {
      const other = authority
        .live()
        .find(
          ({ id, hosts }) =>
            this.#known.has(`${authority.base}/order/${id}`) &&
            hosts.some((host) => order.hosts.includes(host)),
        );
      if (other) this.wrong.push(`${order.hosts.join()} while ${other.hosts.join()} is live`);
    };
    authority.refuse = (call) => {
      const { untilMs = 0, step = 0 } = this.#refused ?? {};
      if (call === 'order' && clock.nowMs() < untilMs && this.#steps > step + stepsOnTheWay)
        this.wrong.push(`an order ${untilMs - clock.nowMs()} ms too early`);
      if (this.#next?.call !== call) return undefined;
      const { refusal } = this.#next;
      this.#next = undefined;
      if (typeof refusal === 'object' && refusal.retryAfter !== undefined)
        this.#refused = { step: this.#steps, untilMs: clock.nowMs() + retryAfterMs };
      return refusal;
    };
  }

  async start(): Promise<void> {
    const life = { dead: false };
    this.#lives.push(life);
    this.#started += 1;
    const holder = `program ${this.#started}`;
    await this.#world.start({}, { holder, store: this.#mortal(life) });
  }

  async happen(what: Happening): Promise<void> {
    const { authority } = this.#world;
    if (what.kind === 'desire') await this.#world.desire(what.pod, what.networks);
    if (what.kind === 'refuse') this.#next = what;
    if (what.kind === 'proofs') authority.check = async () => what.right;
    if (what.kind === 'signing') authority.onFinalize = what.becomes;
    if (what.kind === 'second' && this.#lives.length < 2) await this.start();
    if (what.kind === 'kill') {
      for (const life of this.#lives) life.dead = true;
      await this.#world.stop();
      this.#lives = [];
      await this.start();
    }
    if (what.kind === 'advance') await this.advance(what.ms);
  }

  async advance(ms: number): Promise<void> {
    for (let step = 0; step < stepsOfAdvance; step += 1) {
      await this.#world.calm(5);
      this.#steps += 1;
      await this.#world.clock.advance(ms / stepsOfAdvance);
    }
  }

  /** The store as a program sees it that may be killed: then nothing of it is written any more. */
  #mortal(life: { readonly dead: boolean }): Store {
    const { store } = this.#world;
    return new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (name !== 'put' && name !== 'remove') return value.bind?.(target) ?? value;
        return async (...given: readonly unknown[]): Promise<unknown> => {
          if (life.dead) throw new Error('killed');
          const done = await value.apply(target, given);
          const url = /"url":"([^"]+)"/.exec(JSON.stringify(given))?.[1];
          if (given[0] === 'certificate-states' && url !== undefined) this.#known.add(url);
          return done;
        };
      },
    });
  }
}

test(
  'there are never two live orders for a name, and none within Retry-After; in the end all is issued',
  async () => {
    let orders = 0;
    const property = fc.asyncProperty(
      fc.array(happening, { minLength: 4, maxLength: 14 }),
      async (happenings) => {
        const world = await World.open();
        try {
          const watched = new Watched(world);
          await watched.start();
          await world.desire('shop');
          for (const each of happenings) await watched.happen(each);
          await watched.happen({ kind: 'proofs', right: true });
          await watched.happen({ kind: 'signing', becomes: 'valid' });
          for (let hours = 0; hours < 48; hours += 6) {
            if ((await world.state('pod/default/shop'))?.phase === 'active') break;
            await watched.advance(6 * 60 * minuteMs);
          }
          expect((await world.state('pod/default/shop'))?.phase).toBe('active');
          expect(watched.wrong).toEqual([]);
          orders += world.authority.orders.length;
        } finally {
          await world.close();
        }
      },
    );
    await fc.assert(property, {
      ...seed,
      numRuns: runs,
      endOnFailure: true,
      examples: [[heldUp], [limited], [downloadWaits]],
    });
    expect(orders).toBeGreaterThan(runs);
  },
  30_000 + runs * 10_000,
);
