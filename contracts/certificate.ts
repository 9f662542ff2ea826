import { z } from 'zod';
import { zSealed } from './sealer.ts';
import type { Collection, Store } from './store.ts';
import { collection } from './store.ts';

/** A leaf certificate with its chain, for all hosts of one pod (or the domain, or the wildcard). */
export const zCertificate = z.strictObject({
  /** Exact hosts and at most wildcards of one label (`*.pods.example.org`). */
  hosts: z.array(z.string()).min(1),
  /** PEM, leaf first, without the root. */
  chain: z.string(),
  /** PKCS#8 PEM, sealed under `sealContext.certificate(id)`. */
  key: zSealed,
  notBeforeMs: z.number(),
  notAfterMs: z.number(),
  /** When to replace it: chosen once, with jitter, so that replicas agree. */
  renewAtMs: z.number(),
  issuer: z.string(),
});
export type Certificate = z.infer<typeof zCertificate>;

// Renewal begins a third of a life before its end: with less than a sixth left something is wrong.
const lateShare = 1 / 6;

/** From when on a certificate should have been renewed. */
export const lateAtMs = ({
  notBeforeMs,
  notAfterMs,
}: Pick<Certificate, 'notBeforeMs' | 'notAfterMs'>): number =>
  notAfterMs - (notAfterMs - notBeforeMs) * lateShare;

/** Ids: `pod/<tenant>/<podId>`, `domain`, `wildcard`, `tenant/<tenant>`. Written by certs alone. */
export const certificates = (store: Store): Collection<Certificate> =>
  collection(store, 'certificates', zCertificate);
