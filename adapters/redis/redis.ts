import type { Clock } from '#contracts/clock.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Log } from '#contracts/log.ts';
import type { Store } from '#contracts/store.ts';
import { blockMs, ChangeStream } from './changes.ts';
import type { RedisSettings } from './client.ts';
import { createClient } from './client.ts';
import { configurationProblems } from './configuration.ts';
import { Connection } from './connection.ts';
import { RedisLeases } from './leases.ts';
import { RedisStore } from './store.ts';

// Less than half of a lease's life, and as long as somebody waits for a page.
const callMsDefault = 5_000;

/** The Redis there is would lose what Podgate keeps; the message says which setting does that. */
export class UnsafeRedis extends Error {
  override readonly name = 'UnsafeRedis';
}

export interface OpenRedis {
  readonly store: Store;
  readonly leases: Leases;
  /** Why nothing can be read or written at the moment, in a sentence for operators. */
  problem(): string | undefined;
  /** Watchers end with their own signals; other calls fail from now on. */
  close(): void;
}

export interface RedisLink extends OpenRedis {
  /**
   * Looks at the configuration and warns of what could lose a write; watches tell nothing before.
   * Rejects with `StoreUnavailable` when there is no answer, with `UnsafeRedis` when the configuration
   * would lose documents; it may be tried again.
   */
  start(): Promise<void>;
}

/** As `connectRedis`, and started. Rejects as `start` does. */
export async function openRedis(...terms: Parameters<typeof connectRedis>): Promise<OpenRedis> {
  const redis = connectRedis(...terms);
  try {
    await redis.start();
  } catch (error) {
    redis.close();
    throw error;
  }
  return redis;
}

/**
 * Documents and leases in one Redis, which need not be there yet. The connection comes and goes as
 * Redis does; a call that has no answer after `callMs` fails.
 */
export function connectRedis(
  settings: RedisSettings,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  callMs = callMsDefault,
): RedisLink {
  const connect = (waitMs: number): Connection =>
    new Connection(createClient(settings, waitMs), clock, waitMs);
  const commands = connect(callMs);
  commands.onChange(
    (reason) => log.warn({ reason }, 'the connection to Redis is lost'),
    () => log.warn({}, 'Redis is back'),
  );
  // A connection that waits for replicas serves nothing else meanwhile.
  const writes = settings.waitReplicas > 0 ? connect(callMs) : commands;
  const waiting = connect(callMs + blockMs);
  const changes = new ChangeStream({ commands, waiting, clock, log });
  const close = (): void => {
    changes.close();
    for (const connection of new Set([commands, writes, waiting])) connection.close();
  };
  const start = async (): Promise<void> => {
    const { refusal, warnings } = await configurationProblems(commands, settings.waitReplicas);
    if (refusal !== undefined) throw new UnsafeRedis(refusal);
    for (const warning of warnings) log.warn({ warning }, 'Redis may lose answered writes');
    await changes.start();
  };
  return {
    start,
    store: new RedisStore({ reads: commands, writes, changes, ...settings }),
    leases: new RedisLeases(writes, settings.waitReplicas),
    problem: () => commands.problem(),
    close,
  };
}
