import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#contracts/clock.ts';
import { podKey } from '#contracts/pod.ts';
import type { Random } from '#contracts/random.ts';
import type { Begun, Route } from '#contracts/route.ts';
import { BusUnavailable } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';
import { FencedOff } from '#contracts/store.ts';
import type { NatsLink } from './link.ts';
import type { Meta, RouteBucket, Write } from './route-bucket.ts';
import type { Entry } from './route-entries.ts';
import { readEntries } from './route-entries.ts';
import { streamName } from './bucket-reading.ts';
import {
  forgetMarkers,
  keyOf,
  lastSequenceOf,
  metaKey,
  openBucket,
  OtherSequence,
  readMeta,
  writeAfter,
  writeOver,
} from './route-bucket.ts';

interface Reign {
  readonly bucket: RouteBucket;
  readonly token: number;
  readonly epoch: string;
  readonly entries: Map<string, Entry>;
  /** Sequence of the newest message: what the next write expects. */
  last: number;
  /** Some write has no known outcome, or the connection was away: look before the next one. */
  unsure: boolean;
}

// So many writes are under way at once when a reign begins; their sequences are known beforehand.
const pipelined = 256;
const triesMax = 5;
const epochBytes = 9;

/**
 * The controller's end of the bucket. Every write expects the stream's last sequence, and a reign begins
 * by writing who reigns: so the next write of a leader before fails, whatever it was about.
 */
export class RouteWriter {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #random: Random;
  #token = 0;
  #reign: Reign | undefined;
  /** One thing after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    link: NatsLink,
    { clock, random }: { readonly clock: Clock; readonly random: Random },
  ) {
    this.#link = link;
    this.#clock = clock;
    this.#random = random;
    link.onBack(() => {
      if (this.#reign) this.#reign.unsure = true;
    });
  }

  /** Of the table that this controller reigns over. */
  get epoch(): string | undefined {
    return this.#reign?.epoch;
  }

  begin(token: number, routes: readonly Route[], keptPods: ReadonlySet<string>): Promise<Begun> {
    this.#refuseOlder(token);
    this.#token = token;
    return this.#inTurn(async () => {
      const reign = await this.#takeOver(token);
      this.#reign = reign;
      const kept = keptOf(reign.entries, routes, keptPods);
      await writeAll(reign, changesFor(reign.entries, [...routes, ...kept]));
      const revision = await write(
        reign,
        metaWrite({ epoch: reign.epoch, token, complete: true, beginning: false }),
      );
      const entries = reign.entries
        .entries()
        .map(([host, entry]) => [host, entry.revision] as const);
      return { revision, revisions: new Map(entries), kept };
    });
  }

  put(token: number, route: Route): Promise<number> {
    this.#check(token);
    return this.#inTurn(async () => {
      const reign = this.#check(token);
      if (reign.unsure) await lookAgain(reign, this.#clock);
      const existing = reign.entries.get(route.host);
      if (existing && isDeepStrictEqual(existing.route, route)) return existing.revision;
      const revision = await this.#write(reign, putWrite(route));
      reign.entries.set(route.host, { route, revision });
      return revision;
    });
  }

  drop(token: number, host: string): Promise<number> {
    this.#check(token);
    return this.#inTurn(async () => {
      const reign = this.#check(token);
      if (reign.unsure) await lookAgain(reign, this.#clock);
      if (!reign.entries.has(host)) return reign.last;
      const revision = await this.#write(reign, { key: keyOf(host), text: undefined });
      reign.entries.delete(host);
      return revision;
    });
  }

  /** Throws `FencedOff` when somebody else reigns, or the table is gone. */
  check(token: number): Promise<void> {
    this.#check(token);
    return this.#inTurn(async () => {
      const reign = this.#check(token);
      if (reign.unsure) await lookAgain(reign, this.#clock);
    });
  }

  #refuseOlder(token: number): void {
    if (token < this.#token) throw new FencedOff('a newer controller publishes routes');
  }

  #check(token: number): Reign {
    this.#refuseOlder(token);
    // Without its own begin a leader would build on what the one before left behind.
    if (this.#reign?.token !== token) throw new Error('begin comes before put and drop');
    return this.#reign;
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /**
   * Writes that the table is ours now, then reads it. That only the key of reigns is expected to be as it
   * was lets a leader before write as fast as it can; its next write expects a sequence that is taken.
   */
  async #takeOver(token: number): Promise<Reign> {
    const bucket = await openBucket(this.#link);
    for (let tries = 1; ; tries += 1) {
      const found = await readMeta(bucket);
      const before = found?.meta;
      if (before && before.token > token)
        throw new FencedOff('a newer controller publishes routes');
      const epoch = before?.epoch ?? this.#random.bytes(epochBytes).toString('base64url');
      // A table that was whole stays so for gateways while it changes.
      const complete = before?.complete ?? false;
      const meta = metaWrite({ epoch, token, complete, beginning: true });
      try {
        const last = await writeOver(bucket, meta, found?.revision ?? 0);
        const { entries, markers } = await readEntries(bucket, { whole: last, clock: this.#clock });
        // Behind the newest message, so a reader still sees where the table ends.
        void forgetMarkers(bucket, markers);
        return { bucket, token, epoch, entries, last, unsure: false };
      } catch (error) {
        if (!(error instanceof OtherSequence)) throw error;
        if (tries === triesMax) throw new BusUnavailable('others take over the routes as well');
      }
    }
  }

  /** One write, and when somebody else wrote in between, one more look at whose table it is. */
  async #write(reign: Reign, one: Write): Promise<number> {
    try {
      return await write(reign, one);
    } catch (error) {
      if (!(error instanceof OtherSequence)) throw error;
      await lookAgain(reign, this.#clock);
      return write(reign, one);
    }
  }
}

const metaWrite = (meta: Meta): Write => ({ key: metaKey, text: JSON.stringify(meta) });

const putWrite = (route: Route): Write => ({
  key: keyOf(route.host),
  text: JSON.stringify(route),
});

interface HostWrite {
  readonly host: string;
  /** Undefined: the host goes. */
  readonly route: Route | undefined;
}

/** What is there of these pods and not among `routes`. What does not parse is nobody's. */
function keptOf(
  entries: ReadonlyMap<string, Entry>,
  routes: readonly Route[],
  pods: ReadonlySet<string>,
): Route[] {
  if (pods.size === 0) return [];
  const given = new Set(routes.map(({ host }) => host));
  const kept: Route[] = [];
  for (const [host, { route }] of entries) {
    if (given.has(host)) continue;
    const { data } = zRoute.safeParse(route);
    if (data && pods.has(podKey(data.tenant, data.pod))) kept.push(data);
  }
  return kept;
}

/** What is as it should be is kept as the very object that the controller has as well: there may be many. */
function changesFor(entries: Map<string, Entry>, routes: readonly Route[]): HostWrite[] {
  const wanted = new Set(routes.map(({ host }) => host));
  const gone = entries.keys().filter((host) => !wanted.has(host));
  const changes: HostWrite[] = Array.from(gone, (host) => ({ host, route: undefined }));
  for (const route of routes) {
    const { host } = route;
    const there = entries.get(host);
    if (there && isDeepStrictEqual(there.route, route))
      entries.set(host, { route, revision: there.revision });
    else changes.push({ host, route });
  }
  return changes;
}

/** Many writes, some under way at once: nobody else writes, so each knows what comes before it. */
async function writeAll(reign: Reign, changes: readonly HostWrite[]): Promise<void> {
  for (let at = 0; at < changes.length; at += pipelined) {
    const batch = changes.slice(at, at + pipelined);
    const from = reign.last;
    reign.unsure = true;
    const revisions = await Promise.all(
      batch.map(({ host, route }, index) => {
        const one = route ? putWrite(route) : { key: keyOf(host), text: undefined };
        return writeAfter(reign.bucket, one, from + index);
      }),
    );
    for (const [index, { host, route }] of batch.entries()) {
      const revision = revisions[index] ?? from;
      if (route) reign.entries.set(host, { route, revision });
      else reign.entries.delete(host);
    }
    reign.last = from + batch.length;
    reign.unsure = false;
  }
}

/** One write. Who is told that it did not happen as expected looks before the next one. */
async function write(reign: Reign, one: Write): Promise<number> {
  const { bucket } = reign;
  reign.unsure = true;
  const revision = await writeAfter(bucket, one, reign.last);
  reign.last = revision;
  reign.unsure = false;
  return revision;
}

/** What is there, after it was not certain: whose it is, and what each host has. Throws `FencedOff`. */
async function lookAgain(reign: Reign, clock: Clock): Promise<void> {
  const { bucket, token, epoch } = reign;
  const last = await lastSequenceOf(bucket).catch(async (error: unknown) => {
    // A server that came back without its data has no stream.
    if ((await streamIsGone(bucket)) === true) throw new FencedOff('NATS lost the routes');
    throw error;
  });
  const meta = (await readMeta(bucket))?.meta;
  if (!meta || meta.epoch !== epoch) throw new FencedOff('NATS lost the routes');
  if (meta.token !== token) throw new FencedOff('a newer controller publishes routes');
  if (last !== reign.last) {
    const { entries } = await readEntries(bucket, { whole: last, clock });
    reign.entries.clear();
    for (const [host, entry] of entries) reign.entries.set(host, entry);
    reign.last = last;
  }
  reign.unsure = false;
}

/** True, or undefined when nobody can tell. */
async function streamIsGone({ manager }: RouteBucket): Promise<boolean | undefined> {
  try {
    for await (const { config } of manager.streams.list()) {
      if (config.name === streamName) return undefined;
    }
    return true;
  } catch {
    return undefined;
  }
}
