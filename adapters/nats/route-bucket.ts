import type { JetStreamClient, JetStreamManager, StreamExpectations } from '@nats-io/jetstream';
import { JetStreamApiError, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import { Kvm, KvWatchInclude } from '@nats-io/kv';
import type { Msg } from '@nats-io/transport-node';
import { headers } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import { BusUnavailable } from '#contracts/route.ts';
import type { NatsLink } from './link.ts';

const bucketName = 'podgate_routes';
export const streamName = `KV_${bucketName}`;
/**
 * The server says every write here once more, with its sequence, when it is kept. A sequence that is not
 * the next one shows that something was missed.
 */
const changesPrefix = 'podgate.routes.changes.';
export const changesSubject = `${changesPrefix}>`;
/** Of no host: `_` is in none. */
export const metaKey = '_meta';
const callMs = 3_000;
// 100,000 routes take about a second.
const readMsMax = 15_000;
// A route with every policy is below 4 KB.
const valueBytesMax = 64 * 1024;

const zMeta = z.object({
  /** The name under which the bucket's revisions count. */
  epoch: z.string(),
  /** Of who reigns. */
  token: z.int(),
  /** Some reign has written its whole table: what is there may be served. */
  complete: z.boolean(),
  /** This reign has not: much may be missing that nobody meant to remove. */
  beginning: z.boolean(),
});
export type Meta = z.infer<typeof zMeta>;

export const metaOf = (bytes: Uint8Array): Meta => zMeta.parse(JSON.parse(decoder.decode(bytes)));

const decoder = new TextDecoder();

/** `*` is no key of a bucket; hosts have no `_`. */
export const keyOf = (host: string): string => host.replaceAll('*', '_any');
export const hostOf = (key: string): string => key.replaceAll('_any', '*');

/** A value as JSON, or undefined for what is none: the gateway's to quarantine. */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined;
  }
}

/** The bucket on an open connection. */
export interface RouteBucket {
  readonly kv: KV;
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
}

/** Opens the bucket, made if it is not there. Throws `BusUnavailable`. */
export async function openBucket(link: NatsLink): Promise<RouteBucket> {
  const { js, manager, kvm } = await storesOf(link);
  return asked(async () => {
    const { replicas } = link;
    const republish = { src: subjectOf('>'), dest: `${changesPrefix}>` };
    const options = { history: 1, replicas, maxValueSize: valueBytesMax, republish };
    // One that is there with other replicas stays as its operator made it.
    const kv = await kvm.create(bucketName, options).catch(() => kvm.open(bucketName));
    return { kv, js, manager };
  });
}

/** Opens the bucket for those who read; undefined: no controller has made it yet. Throws `BusUnavailable`. */
export async function findBucket(link: NatsLink): Promise<RouteBucket | undefined> {
  const { js, manager, kvm } = await storesOf(link);
  return asked(async () => {
    try {
      await manager.streams.info(streamName);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === noSuchStream) return undefined;
      throw error;
    }
    return { kv: await kvm.open(bucketName), js, manager };
  });
}

async function storesOf(link: NatsLink) {
  const connection = link.connection;
  if (!connection) throw new BusUnavailable(link.problem() ?? 'NATS cannot be reached');
  return asked(async () => {
    const js = jetstream(connection, { timeout: callMs });
    const manager = await jetstreamManager(connection, { timeout: callMs });
    return { js, manager, kvm: new Kvm(js) };
  });
}

/** Sequence of the newest message there ever was. */
export async function lastSequenceOf({ manager }: RouteBucket): Promise<number> {
  return (await asked(() => manager.streams.info(streamName))).state.last_seq;
}

/** Whose table it is, and since which revision; undefined: nobody's yet. */
export async function readMeta({
  kv,
}: RouteBucket): Promise<{ readonly meta: Meta; readonly revision: number } | undefined> {
  const entry = await asked(() => kv.get(metaKey));
  return entry?.operation === 'PUT'
    ? { meta: metaOf(entry.value), revision: entry.revision }
    : undefined;
}

export interface Write {
  readonly key: string;
  /** Undefined: the key goes. */
  readonly text: string | undefined;
}

const noSuchStream = 10_059;
const wrongLastSequence = 10_071;

/** Somebody wrote in between. */
export class OtherSequence extends Error {
  override readonly name = 'OtherSequence';
}

/** Writes when the key is as it was at `revision`, 0: not there; returns the sequence. */
export const writeOver = (bucket: RouteBucket, one: Write, revision: number): Promise<number> =>
  publish(bucket, one, { lastSubjectSequence: revision });

/** Writes when the stream's newest message is `after`; returns the sequence of this one. */
export const writeAfter = (bucket: RouteBucket, one: Write, after: number): Promise<number> =>
  publish(bucket, one, { lastSequence: after });

function publish(
  { js }: RouteBucket,
  { key, text }: Write,
  expect: Partial<StreamExpectations>,
): Promise<number> {
  return asked(async () => {
    const options = { expect, timeout: callMs };
    if (text !== undefined) return (await js.publish(subjectOf(key), text, options)).seq;
    const marker = headers();
    marker.set('KV-Operation', 'DEL');
    return (await js.publish(subjectOf(key), '', { ...options, headers: marker })).seq;
  });
}

/** A message of the bucket's stream. */
export interface BucketChange {
  readonly key: string;
  readonly revision: number;
  /** Undefined: the key was removed. */
  readonly value: Uint8Array | undefined;
}

/** A message that the server said once more, or undefined for what is none. */
export function changeOf({ subject, headers: told, data }: Msg): BucketChange | undefined {
  const revision = Number(told?.get('Nats-Sequence'));
  if (!Number.isSafeInteger(revision) || revision < 1) return undefined;
  const value = told?.get('KV-Operation') ? undefined : data;
  return { key: subject.slice(changesPrefix.length), revision, value };
}

/**
 * Tells the newest message of each key whose sequence is at least `from`, in order, and returns the
 * sequence up to which that is all: the newest there was at the call. How many are to come the server
 * does not tell reliably while keys are written, but the newest message is always there, because only
 * markers behind the newest `_meta` are ever removed.
 */
export async function readBucket(
  bucket: RouteBucket,
  { from, clock, signal }: ReadTerms,
  tell: (change: BucketChange) => void,
): Promise<number> {
  const whole = await lastSequenceOf(bucket);
  if (whole < from) return whole;
  const include = KvWatchInclude.AllHistory;
  const watch = await asked(() => bucket.kv.watch({ include, resumeFromRevision: from }));
  const stop = (): void => watch.stop();
  const cancel = clock.after(readMsMax, stop);
  signal?.addEventListener('abort', stop);
  try {
    for await (const { key, operation, value, revision } of watch) {
      tell({ key, revision, value: operation === 'PUT' ? value : undefined });
      if (revision >= whole) return whole;
    }
  } finally {
    cancel();
    signal?.removeEventListener('abort', stop);
    watch.stop();
  }
  throw new BusUnavailable('NATS did not tell the whole table in time');
}

interface ReadTerms {
  readonly from: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Forgets removals of keys, by their revisions; what cannot be forgotten now is next time. */
export async function forgetMarkers(
  { manager }: RouteBucket,
  revisions: readonly number[],
): Promise<void> {
  for (const revision of revisions) {
    // By its number, which what was written there since does not have. A purge by subject would make
    // servers tell nothing to whoever reads the bucket at that moment (seen with 2.9.10).
    await manager.streams.deleteMessage(streamName, revision, false).catch(() => undefined);
  }
}

const subjectOf = (key: string): string => `$KV.${bucketName}.${key}`;

/** As our errors: `OtherSequence`, else `BusUnavailable`. */
async function asked<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === wrongLastSequence) {
      throw new OtherSequence(error.message);
    }
    const message = error instanceof Error ? error.message : String(error);
    throw new BusUnavailable(`NATS did not do what was asked: ${message}`, { cause: error });
  }
}
