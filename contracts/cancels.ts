import type { Address } from './route.ts';

/** A pod that has given out a key, as it is told to whoever looks for the key's owner. */
export interface CancelOwner {
  readonly upstream: Address;
  /** One of the sessions with this key belongs to a client of the address that asks. */
  readonly near: boolean;
}

/** Says which pods have given out this key and let a client at `from` connect. Never rejects. */
export type FindOwners = (key: string, from: string) => Promise<readonly CancelOwner[]>;

/**
 * Carries questions for the owner of a Postgres cancel key between gateways: a CancelRequest in the
 * clear may arrive at another than the session did.
 */
export interface CancelExchange {
  /** What the other gateways know, without those that do not answer within half a second. Never rejects. */
  readonly ask: FindOwners;
  /** Answers the others from now on; the returned function ends it. */
  serve(find: FindOwners): () => void;
}
