import { z } from 'zod';
import { zSealed } from '#contracts/sealer.ts';
import type { Collection, Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';

/**
 * What all gateways derive the keys of TLS session tickets from (RFC 5077, 5.5; RFC 8446, 8.1), so that
 * a session begun at one is resumed at any. One at a time; who reads the store later can decrypt the
 * sessions of its time, so it is replaced often and rests sealed.
 */
const zSessionTicketKey = z.strictObject({
  /** 32 bytes in base64url, sealed under `ticketKeyId`. */
  master: zSealed,
  sinceMs: z.number(),
});
export type SessionTicketKey = z.infer<typeof zSessionTicketKey>;

/** The one document there is; also what its master is sealed under. */
export const ticketKeyId = 'session-tickets/current';

/** Written by whichever gateway finds it missing or too old. */
export const sessionTickets = (store: Store): Collection<SessionTicketKey> =>
  collection(store, 'session-tickets', zSessionTicketKey);

export const parseSessionTicketKey = (json: unknown): SessionTicketKey =>
  zSessionTicketKey.parse(json);
