import type { JetStreamClient, JetStreamManager, StreamExpectations } from '@nats-io/jetstream';
import { JetStreamApiError, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import { Kvm } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';
import { z } from 'zod';
import { BusUnavailable } from '#contracts/route.ts';
import { keysPrefix, streamName } from './bucket-reading.ts';
import type { Line } from './line.ts';
import type { NatsLink } from './link.ts';

const bucketName = 'podgate_routes';
/**
 * The server says every write here once more, with its sequence, when it is kept. A sequence that is not
 * the next one shows that something was missed.
 */
const changesPrefix = 'podgate.routes.changes.';
export const changesSubject = `${changesPrefix}>`;
/** Of no host: `_` is in none. */
export const metaKey = '_meta';
const callMs = 3_000;
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
  readonly line: Line;
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
    return { line: link, kv, js, manager };
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

const subjectOf = (key: string): string => `${keysPrefix}${key}`;

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
