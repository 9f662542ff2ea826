import type { Clock } from '#contracts/clock.ts';
import type { Lease, Leases } from '#contracts/leases.ts';
import type { Log } from '#contracts/log.ts';

/** A leader that was not heard of for so long leads no more. */
const ttlMs = 12_000;
const renewEveryMs = ttlMs / 4;
/** How often the others look; with the first look of a new leader, a take-over takes at most 15 s. */
const lookEveryMs = 500;

export class NotLeading extends Error {
  override readonly name = 'NotLeading';
}

/** A lease that is held, and what is known of how long. */
export interface Leadership {
  readonly lease: Lease;
  /** Aborts when the lease is lost or let go. */
  readonly signal: AbortSignal;
  /** Throws `NotLeading` from the moment on when somebody else might hold the lease. */
  check(this: void): void;
  /** The lease is known to be lost: somebody else was seen to act. */
  lose(this: void): void;
}

interface LeadershipPorts {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Waits for the lease `name`, leads while `lead` runs, and so on until `signal` aborts. `waiting` is
 * called whenever somebody else was found to hold it.
 */
export async function keepLeading(
  ports: LeadershipPorts,
  { name, holder, signal }: { name: string; holder: string; signal: AbortSignal },
  lead: (leadership: Leadership) => Promise<void>,
  waiting: () => void,
): Promise<void> {
  const { leases, clock, log } = ports;
  while (!signal.aborted) {
    try {
      const askedAtMs = clock.monotonicMs();
      const lease = await leases.acquire(name, holder, ttlMs);
      if (lease) await reign(ports, { lease, untilMs: askedAtMs + ttlMs, signal }, lead);
      else waiting();
    } catch (error) {
      log.error({ error, name }, 'leading failed; trying again');
    }
    await quietly(clock.sleep(lookEveryMs, signal));
  }
}

async function reign(
  { leases, clock, log }: LeadershipPorts,
  { lease, untilMs, signal }: { lease: Lease; untilMs: number; signal: AbortSignal },
  lead: (leadership: Leadership) => Promise<void>,
): Promise<void> {
  const ended = new AbortController();
  const over = AbortSignal.any([signal, ended.signal]);
  let validUntilMs = untilMs;
  const check = (): void => {
    if (over.aborted || clock.monotonicMs() >= validUntilMs)
      throw new NotLeading(`${lease.name} is not held any more`);
  };
  const renewing = (async (): Promise<void> => {
    while (!over.aborted && clock.monotonicMs() < validUntilMs) {
      await quietly(clock.sleep(renewEveryMs, over));
      if (over.aborted) return;
      const askedAtMs = clock.monotonicMs();
      // A store that does not answer may do so before the lease runs out.
      const kept = await leases.renew(lease, ttlMs).catch(() => undefined);
      if (kept === false) break;
      if (kept) validUntilMs = askedAtMs + ttlMs;
    }
    if (!over.aborted) log.warn({ name: lease.name }, 'the lease was lost');
    ended.abort();
  })();
  try {
    await lead({ lease, signal: over, check, lose: () => ended.abort() });
  } finally {
    ended.abort();
    await renewing;
    await leases.release(lease);
  }
}

const quietly = (sleep: Promise<void>): Promise<void> => sleep.catch(() => undefined);
