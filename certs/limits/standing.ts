import { z } from 'zod';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';

const zBucket = z.strictObject({ tokens: z.number(), atMs: z.number() });

/** How we stand with an authority: what is left to us, and whether it wants to be left alone. */
const zStanding = z.strictObject({
  orders: zBucket.optional(),
  certificates: zBucket.optional(),
  /** Nobody asks it for anything before. */
  pausedUntilMs: z.number(),
  /** How often in a row it was in trouble. */
  troubles: z.int(),
  /** Why it is paused, in words. */
  reason: z.string(),
});
export type Standing = z.infer<typeof zStanding>;

const freshStanding: Standing = { pausedUntilMs: 0, troubles: 0, reason: '' };

/** Shared by all replicas, by the authority's name. */
const standings = (store: Store) => collection(store, 'authority-standings', zStanding);

export const readStanding = async (store: Store, name: string): Promise<Standing> =>
  (await standings(store).get(name))?.value ?? freshStanding;

/**
 * Changes it by a pure function, again when somebody else was faster; what `change` returns is the
 * result. Nothing is written when it returns the standing that it was given.
 */
export async function changeStanding<T>(
  store: Store,
  name: string,
  change: (standing: Standing) => { readonly standing: Standing; readonly result: T },
): Promise<T> {
  for (;;) {
    const stored = await standings(store).get(name);
    const before = stored?.value ?? freshStanding;
    const { standing, result } = change(before);
    if (standing === before) return result;
    try {
      const expect = stored ? { version: stored.version } : 'absent';
      await standings(store).put(name, standing, expect);
      return result;
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
    }
  }
}

const troubleMs = { first: 5_000, most: 60 * 60 * 1000 };
const limitedMs = 60 * 60 * 1000; // where it does not say for how long

/** It did not answer, or with an error of its own: left alone for twice as long each time. */
export function troubled(
  standing: Standing,
  { reason, askedMs, nowMs }: { reason: string; askedMs: number | undefined; nowMs: number },
): Standing {
  // Many requests fail at once when an authority goes down: that is one trouble.
  if (standing.pausedUntilMs > nowMs) return standing;
  const waitMs = Math.max(
    askedMs ?? 0,
    Math.min(troubleMs.first * 2 ** standing.troubles, troubleMs.most),
  );
  return { ...standing, troubles: standing.troubles + 1, pausedUntilMs: nowMs + waitMs, reason };
}

/** It said that we ask too much. */
export const limited = (
  standing: Standing,
  { reason, askedMs, nowMs }: { reason: string; askedMs: number | undefined; nowMs: number },
): Standing => ({
  ...standing,
  pausedUntilMs: Math.max(standing.pausedUntilMs, nowMs + (askedMs ?? limitedMs)),
  reason,
});

/** It does its work. */
export const well = (standing: Standing): Standing =>
  standing.troubles === 0 && standing.reason === ''
    ? standing
    : { ...standing, troubles: 0, reason: '' };
