import { z } from 'zod';
import { zSealed } from './sealer.ts';
import type { Collection, Store } from './store.ts';
import { collection } from './store.ts';

/**
 * Which certificate a pod is shown with: `per-pod` its own from the public authority, `hybrid` the
 * wildcard until that is there, `wildcard` never one of its own, `own` one of our own authority.
 */
export const certificateModes = ['hybrid', 'per-pod', 'wildcard', 'own'] as const;
export type CertificateMode = (typeof certificateModes)[number];

export const certificatePhases = [
  'none',
  'queued',
  'ordering',
  'validating',
  'finalizing',
  'downloading',
  'active',
  'backoff',
] as const;
export type CertificatePhase = (typeof certificatePhases)[number];

/** One try that failed. */
const zAttempt = z.strictObject({
  atMs: z.number(),
  ca: z.string(),
  /** In words, for the pod's owner. */
  error: z.string(),
});
export type Attempt = z.infer<typeof zAttempt>;

/** Older ones are forgotten. */
export const attemptsMax = 10;

/** When to replace a certificate: an instant chosen once in the window, so that replicas agree. */
const zRenewal = z.strictObject({
  startMs: z.number(),
  endMs: z.number(),
  atMs: z.number(),
  /** When to ask the authority for the window again; null: it has none to tell (RFC 9773). */
  askAgainAtMs: z.number().nullable(),
});
export type Renewal = z.infer<typeof zRenewal>;

/** An order under way, with all that another program needs to go on with it (RFC 8555, 7.1.3). */
const zOrder = z.strictObject({
  ca: z.string(),
  hosts: z.array(z.string()).min(1),
  profile: z.string().nullable(),
  /** The id of the certificate that this one replaces (RFC 9773, 4.1); null: of none. */
  replaces: z.string().nullable(),
  startedAtMs: z.number(),
  /** Nobody heard the answer to the call for it, so far. */
  url: z.string().nullable(),
  /** PKCS#8 PEM, sealed under `sealContext.certificate(id)`: here before the authority signs it. */
  key: zSealed.nullable(),
  csr: z.string().nullable(),
  certificateUrl: z.string().nullable(),
});
export type Order = z.infer<typeof zOrder>;

/** What an authority still gives of certificates over exactly these hosts. */
const zSetBudget = z.strictObject({
  ca: z.string(),
  hosts: z.array(z.string()).min(1),
  tokens: z.number(),
  atMs: z.number(),
});
export type SetBudget = z.infer<typeof zSetBudget>;

/** A pod that gets another set of hosts and the first again is known; one that does it all day is not. */
export const setBudgetsMax = 4;

/** How a certificate comes about and what became of it. Its id is the certificate's. */
const zCertificateState = z.strictObject({
  mode: z.enum(certificateModes),
  phase: z.enum(certificatePhases),
  /** The authority: of the order under way, else of the certificate in use. */
  ca: z.string().nullable(),
  profile: z.string().nullable(),
  /** About how many are served before it and with it; null: it does not wait in the queue. */
  queuePlace: z.int().nullable(),
  /** That failed since it last succeeded, newest last. */
  attempts: z.array(zAttempt).max(attemptsMax),
  /** How many those were in all. */
  failures: z.int(),
  nextAttemptAtMs: z.number().nullable(),
  /** The staging authority gave one since it last failed: the next try is for real. */
  rehearsed: z.boolean(),
  renewal: zRenewal.nullable(),
  notAfterMs: z.number().nullable(),
  /** The id that an order which renews it names (RFC 9773, 4.1). */
  replaces: z.string().nullable(),
  /** The newest request to rotate that was carried out. */
  rotation: z.int(),
  order: zOrder.nullable(),
  setBudgets: z.array(zSetBudget).max(setBudgetsMax).default([]),
});
export type CertificateState = z.infer<typeof zCertificateState>;

/** Written by certs alone. */
export const certificateStates = (store: Store): Collection<CertificateState> =>
  collection(store, 'certificate-states', zCertificateState);

const zCertificateRequest = z.strictObject({
  /** How often a new key and certificate were asked for. */
  rotation: z.int(),
});

/** What users ask of a certificate, under its id: written by the api alone. */
export const certificateRequests = (
  store: Store,
): Collection<z.infer<typeof zCertificateRequest>> =>
  collection(store, 'certificate-requests', zCertificateRequest);

/** What the operator's settings make of modes. */
const zCertificateTerms = z.strictObject({
  /** Of tenants that chose none. */
  mode: z.enum(certificateModes),
  possible: z.array(z.enum(certificateModes)),
});

/** Under the one id `site`: written by certs, so that the api can say what a tenant may choose. */
export const certificateTerms = (store: Store): Collection<z.infer<typeof zCertificateTerms>> =>
  collection(store, 'certificate-terms', zCertificateTerms);
export const siteTermsId = 'site';
