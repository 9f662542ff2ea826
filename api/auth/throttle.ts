import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';
import { retrying } from '../retrying.ts';

const triesMax = 10; // far more than a person mistypes in the window
const windowMs = 60_000;

const zTries = z.strictObject({ count: z.int(), untilMs: z.number() });

interface ThrottlePorts {
  readonly store: Store;
  readonly clock: Clock;
}

/**
 * Slows down guessing: after too many tries for one name without a success, more are refused for a
 * while, whichever api is asked and however often it starts anew. A try counts when it begins, so
 * guesses sent all at once gain nothing.
 */
export class LoginThrottle {
  readonly #ports: ThrottlePorts;

  constructor(ports: ThrottlePorts) {
    this.#ports = ports;
  }

  /** Counts a try for `name`; returns the whole seconds to wait for it, 0 when it may go ahead. */
  async try(name: string): Promise<number> {
    const { clock } = this.#ports;
    return retrying(async () => {
      const stored = await this.#tries().get(keyOf(name));
      const standing = stored && stored.value.untilMs > clock.nowMs() ? stored.value : undefined;
      if (standing && standing.count >= triesMax)
        return Math.ceil((standing.untilMs - clock.nowMs()) / 1000);
      const count = (standing?.count ?? 0) + 1;
      const expect = stored ? { version: stored.version } : ('absent' as const);
      await this.#tries().put(keyOf(name), { count, untilMs: clock.nowMs() + windowMs }, expect);
      return 0;
    });
  }

  async succeeded(name: string): Promise<void> {
    await this.#tries().remove(keyOf(name), 'anything');
  }

  /** Forgets what has expired. */
  async sweep(): Promise<void> {
    const { documents } = await this.#tries().list();
    for (const { id, value } of documents)
      if (value.untilMs <= this.#ports.clock.nowMs()) await this.#tries().remove(id, 'anything');
  }

  #tries() {
    return collection(this.#ports.store, 'login-tries', zTries);
  }
}

/** Names come from strangers: of any length, and perhaps a password in the wrong field. */
const keyOf = (name: string): string => createHash('sha256').update(name).digest('base64url');
