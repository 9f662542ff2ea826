import type { CancelOwner } from '#contracts/cancels.ts';
import type { Policy } from '#contracts/policy.ts';
import type { Address } from '#contracts/route.ts';
import { allowed } from '../allowed.ts';

interface Session {
  readonly upstream: Address;
  /** The client's address. */
  readonly client: string;
  readonly policy: Policy | undefined;
}

// Keys do not meet by chance. A server that gives everybody the same one must not make each question
// cost a walk over all its sessions, nor each answer a list of them.
const sessionsPerKeyMax = 64;
const ownersMax = 16;

/** The Postgres sessions of a worker by the key that cancels their queries. */
export class PostgresSessions {
  readonly #byKey = new Map<string, Set<Session>>();

  /** Remembers a session until the function it returns is called; of one key no more than a few. */
  add(key: string, session: Session): () => void {
    const sessions = this.#byKey.get(key) ?? new Set<Session>();
    if (sessions.size >= sessionsPerKeyMax) return () => undefined;
    this.#byKey.set(key, sessions.add(session));
    return () => {
      sessions.delete(session);
      if (sessions.size === 0 && this.#byKey.get(key) === sessions) this.#byKey.delete(key);
    };
  }

  /** The pods that have given out this key and let `from` connect, the near ones first. */
  owners(key: string, from: string): CancelOwner[] {
    const found = new Map<string, CancelOwner>();
    for (const { upstream, client, policy } of this.#byKey.get(key) ?? []) {
      if (!allowed(policy, from)) continue;
      const place = placeOf(upstream);
      const near = client === from || found.get(place)?.near === true;
      found.set(place, { upstream, near });
    }
    return [...found.values()]
      .toSorted((a, b) => Number(b.near) - Number(a.near))
      .slice(0, ownersMax);
  }

  get size(): number {
    return this.#byKey.size;
  }
}

/**
 * Who gets a CancelRequest. Pods choose the keys they give out, so two may give out the same, by
 * chance, by a server that gives everybody one key, or by a pod that guesses. Then the client's
 * address decides, and if it does not, nobody gets it: sent to all, it would stop queries of
 * strangers and tell a guesser the key of another's session.
 */
export function ownerOf(owners: readonly CancelOwner[]): Address | undefined {
  const all = distinct(owners);
  if (all.length === 1) return all[0];
  const near = distinct(owners.filter((owner) => owner.near));
  return near.length === 1 ? near[0] : undefined;
}

function distinct(owners: readonly CancelOwner[]): Address[] {
  return [...new Map(owners.map(({ upstream }) => [placeOf(upstream), upstream])).values()];
}

const placeOf = ({ host, port }: Address): string => `${host} ${port}`;
