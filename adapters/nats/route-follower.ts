import type { Subscription } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { RouteEvent, ToldRoute } from '#contracts/route.ts';
import { BusUnavailable } from '#contracts/route.ts';
import type { Snapshot } from '../memory/pending-events.ts';
import { PendingEvents } from '../memory/pending-events.ts';
import type { Line } from './line.ts';
import type { NatsLink } from './link.ts';
import type { BucketChange } from './bucket-reading.ts';
import { changeOf, newestOf, readBucket } from './bucket-reading.ts';
import type { Meta } from './route-bucket.ts';
import { changesSubject, hostOf, jsonOf, metaKey, metaOf } from './route-bucket.ts';

export const beatSubject = 'podgate.routes.beats';

const zBeat = z.object({
  token: z.int(),
  epoch: z.string(),
  revision: z.int(),
  count: z.int(),
  hash: z.int(),
});
export type BeatMessage = z.infer<typeof zBeat>;

/** One gateway's following of the bucket, and of the controller's beats. */
export async function* followBucket(
  { link, clock }: { readonly link: NatsLink; readonly clock: Clock },
  signal: AbortSignal,
): AsyncGenerator<RouteEvent> {
  const connection = await untilAborted(link.connected(), signal);
  await untilThere(link, clock, signal);
  if (!connection || signal.aborted) return;
  const following = new Following(link, clock);
  const subscriptions = [
    connection.subscribe(changesSubject, {
      callback: (error, message) => {
        const change = error ? undefined : changeOf(message);
        if (change) following.heard(change);
      },
    }),
    connection.subscribe(beatSubject, {
      callback: (error, message) => {
        if (!error) following.beat(message.data);
      },
    }),
  ];
  // What was said while the connection was away is read.
  const unlisten = link.onBack(() => following.catchUp());
  try {
    yield* following.events(signal);
  } finally {
    unlisten();
    for (const subscription of subscriptions) end(subscription);
  }
}

/**
 * Changes are said to all gateways at once; what one of them missed, and the table at the beginning, is
 * read from the bucket.
 */
class Following {
  readonly #line: Line;
  readonly #clock: Clock;
  readonly #pending = new PendingEvents(() => this.#snapshot());
  readonly #ended = new AbortController();
  /** The whole table while it is read and until it is taken. */
  #table: Map<string, ToldRoute> | undefined = new Map();
  #meta: Meta | undefined;
  /** Everything up to it was heard. */
  #revision = 0;
  /** Heard while earlier ones are read. */
  #early: BucketChange[] = [];
  #reading = false;
  readonly #hosts = new Set<string>();
  #failure: Error | undefined;

  constructor(line: Line, clock: Clock) {
    this.#line = line;
    this.#clock = clock;
  }

  async *events(signal: AbortSignal): AsyncGenerator<RouteEvent> {
    const stop = (): void => this.#end();
    signal.addEventListener('abort', stop);
    try {
      this.catchUp();
      yield* this.#pending.events();
      if (!signal.aborted && this.#failure) throw this.#failure;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#end();
    }
  }

  beat(bytes: Uint8Array): void {
    const beat = zBeat.safeParse(jsonOf(bytes));
    if (!beat.success) return;
    const { token, ...digest } = beat.data;
    // A leader before, who was asleep, may not know yet that it is none.
    if (this.#meta && digest.epoch === this.#meta.epoch && token < this.#meta.token) return;
    this.#pending.beat({ kind: 'beat', ...digest });
  }

  heard(change: BucketChange): void {
    if (change.revision <= this.#revision) return;
    if (!this.#reading && change.revision === this.#revision + 1) {
      this.#take(change);
      return;
    }
    // A gateway that cannot read must not keep all that is said meanwhile: it is read later.
    if (this.#early.length >= earlyMax) this.#early = [];
    this.#early.push(change);
    this.catchUp();
  }

  /** Reads what was missed, if anything; one reading at a time. */
  catchUp(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#read().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#end();
    });
  }

  async #read(): Promise<void> {
    const { signal } = this.#ended;
    const whole = await newestOf(this.#line);
    if (whole === undefined) throw new BusUnavailable('NATS does not tell how far the routes go');
    // A stream that was made anew begins to count anew.
    if (whole < this.#revision) throw new Error('NATS lost the routes');
    const terms = { from: this.#revision + 1, whole, clock: this.#clock, signal };
    for (const change of await readBucket(this.#line, terms)) this.#take(change);
    this.#reading = false;
    const early = this.#early;
    this.#early = [];
    for (const change of early) this.heard(change);
    this.#pending.wake();
  }

  #end(): void {
    this.#ended.abort();
    this.#pending.end();
  }

  #take({ key, revision, value }: BucketChange): void {
    this.#revision = revision;
    if (key === metaKey) {
      if (value) this.#meta = metaOf(value);
      this.#pending.add({ kind: 'mark', revision }, this.#hosts.size);
      return;
    }
    const host = hostOf(key);
    const route = value && jsonOf(value);
    if (value) this.#hosts.add(host);
    else this.#hosts.delete(host);
    if (!this.#table) {
      const change = value ? ({ kind: 'put', route } as const) : ({ kind: 'drop' } as const);
      this.#pending.add({ ...change, revision, host }, this.#hosts.size);
    } else if (value) this.#table.set(host, { revision, route });
    else this.#table.delete(host);
  }

  /** The whole table, once; who needs it again gets it from the bucket again. */
  #snapshot(): Snapshot | undefined {
    if (!this.#table && this.#reading) return undefined;
    if (!this.#table) {
      this.#table = new Map();
      this.#hosts.clear();
      this.#revision = 0;
      this.catchUp();
      return undefined;
    }
    if (this.#reading || !this.#meta?.complete) return undefined;
    const routes = this.#table;
    this.#table = undefined;
    const { epoch, beginning } = this.#meta;
    const revision = this.#revision;
    return { kind: 'snapshot', epoch, revision, routes, shrinkIntended: !beginning };
  }
}

const earlyMax = 10_000;
/** Between two looks for what the first controller makes. */
const absentMs = 250;

function end(subscription: Subscription): void {
  if (!subscription.isClosed()) subscription.unsubscribe();
}

/** Or until the signal aborts. Readers do not make it: they need not have the right to. */
async function untilThere(line: Line, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await newestOf(line)) === undefined)
    await clock.sleep(absentMs, signal).catch(() => undefined);
}

/** Undefined when the signal aborts first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const stop = (): void => resolve(undefined);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', stop));
}
