import { z } from 'zod';
import type { Collection, Store } from './store.ts';
import { collection } from './store.ts';

/**
 * What proves to a certificate authority that a host is ours (RFC 8555, 8.3; RFC 8737). Any gateway
 * answers it: `http-01` with the text, `tls-alpn-01` with a certificate that it makes from the text.
 * Nothing here is secret. One that is over is not answered; who wrote it removes it.
 */
const zChallenge = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('http-01'),
    host: z.string(),
    /** Asked for at `/.well-known/acme-challenge/<token>`. */
    token: z.string().regex(/^[\w-]+$/),
    keyAuthorization: z.string(),
    expiresAtMs: z.number(),
  }),
  z.strictObject({
    kind: z.literal('tls-alpn-01'),
    host: z.string(),
    keyAuthorization: z.string(),
    expiresAtMs: z.number(),
  }),
]);
export type Challenge = z.infer<typeof zChallenge>;

/** Of the challenge that is asked for with a token. */
export const httpChallengeId = (host: string, token: string): string => `http-01/${host}/${token}`;

/** Of the challenge that a handshake for this host is about. */
export const alpnChallengeId = (host: string): string => `tls-alpn-01/${host}`;

export const challengeId = (challenge: Challenge): string =>
  challenge.kind === 'http-01'
    ? httpChallengeId(challenge.host, challenge.token)
    : alpnChallengeId(challenge.host);

/** Written by certs alone. */
export const challenges = (store: Store): Collection<Challenge> =>
  collection(store, 'challenges', zChallenge);
