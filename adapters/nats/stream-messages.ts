import { z } from 'zod';
import { parsed } from './json.ts';

/**
 * How a stream of values crosses NATS: who asks gets offers and takes the first; then it wants one
 * frame after the other, each a part of a value in JSON, and asks again for one that does not come.
 * So nothing is read before it is wanted, and a lost message costs a second.
 */
const zFromServer = z.discriminatedUnion('kind', [
  /** Where frames are wanted from is its reply subject. */
  z.object({ kind: z.literal('offer') }),
  /** The bytes follow. `last`: the value is complete with it. */
  z.object({ kind: z.literal('frame'), frame: z.int().min(0), last: z.boolean() }),
  /** There is nothing to send yet. */
  z.object({ kind: z.literal('alive') }),
  z.object({ kind: z.literal('end'), frame: z.int().min(0) }),
  /** `unavailable`: somebody else may be able to answer. */
  z.object({
    kind: z.literal('error'),
    frame: z.int().min(0),
    message: z.string(),
    unavailable: z.boolean(),
  }),
]);
export type FromServer = z.infer<typeof zFromServer>;

const zFromAsker = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('want'), frame: z.int().min(0) }),
  /** Nothing is wanted at the moment, but will be. */
  z.object({ kind: z.literal('keep') }),
  z.object({ kind: z.literal('stop') }),
]);
export type FromAsker = z.infer<typeof zFromAsker>;

/** Between two signs of life while nothing else is sent. */
export const signMs = 1_000;

// Far below what servers take (1 MB unless configured), and few enough turns for 10 MB.
const frameBytes = 128 * 1024;

const newline = 10;

/** One line of JSON, and the bytes after it. */
export const encode = (
  head: FromServer | FromAsker,
  bytes: Uint8Array = new Uint8Array(),
): Uint8Array => Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);

/** Undefined: it was written by something else, or by a later version. */
export function decodeFromServer(
  data: Uint8Array,
): { readonly head: FromServer; readonly bytes: Uint8Array } | undefined {
  const end = data.indexOf(newline);
  const head = zFromServer.safeParse(parsed(data.subarray(0, end)));
  return end > 0 && head.success ? { head: head.data, bytes: data.subarray(end + 1) } : undefined;
}

/** Undefined as with `decodeFromServer`. */
export const decodeFromAsker = (data: Uint8Array): FromAsker | undefined =>
  zFromAsker.safeParse(parsed(data)).data;

/** The parts of a value; there is at least one. */
export function framesOf(value: unknown): Uint8Array[] {
  const whole = Buffer.from(JSON.stringify(value));
  const count = Math.max(1, Math.ceil(whole.length / frameBytes));
  return Array.from({ length: count }, (_, n) =>
    whole.subarray(n * frameBytes, (n + 1) * frameBytes),
  );
}
