import type { Clock } from '#contracts/clock.ts';
import type { AccountPorts } from '../acme/account.ts';
import { AcmeAccount } from '../acme/account.ts';
import type { PublicAuthorities, PublicAuthority } from '../acme/authority.ts';
import type { CaProblem } from '../acme/problem.ts';
import type { AcmeSession } from '../acme/session.ts';
import type { Standing } from '../limits/standing.ts';
import { changeStanding, limited, troubled } from '../limits/standing.ts';

/** The authorities that are configured, with our account at each and how we stand with it. */
export class Authorities {
  readonly configured: PublicAuthorities;
  readonly #ports: AccountPorts;
  readonly #accounts = new Map<string, AcmeAccount>();

  constructor(ports: AccountPorts, configured: PublicAuthorities) {
    this.#ports = ports;
    this.configured = configured;
  }

  get clock(): Clock {
    return this.#ports.clock;
  }

  named(name: string | undefined): PublicAuthority | undefined {
    const { real, staging } = this.configured;
    return [...real, ...(staging ? [staging] : [])].find((each) => each.name === name);
  }

  account(authority: PublicAuthority): AcmeAccount {
    const known = this.#accounts.get(authority.name);
    if (known) return known;
    const made = new AcmeAccount(this.#ports, authority);
    this.#accounts.set(authority.name, made);
    return made;
  }

  /** Throws `CaProblem`. */
  session(authority: PublicAuthority): Promise<AcmeSession> {
    return this.account(authority).session();
  }

  change({ name }: PublicAuthority, change: (now: Standing) => Standing): Promise<void> {
    const write = (now: Standing) => ({ standing: change(now), result: undefined });
    return changeStanding(this.#ports.store, name, write);
  }

  /** Leaves it alone for as long as it asks, or as its trouble calls for; until when. */
  async leaveAlone(authority: PublicAuthority, problem: CaProblem): Promise<number> {
    const about = {
      reason: problem.message,
      askedMs: problem.retryAfterMs,
      nowMs: this.#ports.clock.nowMs(),
    };
    const change = problem.limited ? limited : troubled;
    return changeStanding(this.#ports.store, authority.name, (now) => {
      const standing = change(now, about);
      return { standing, result: standing.pausedUntilMs };
    });
  }
}
