import { z } from 'zod';
import { certificateModes } from './certificate-state.ts';
import type { Collection, Store } from './store.ts';
import { collection } from './store.ts';

/** Somebody else who issues tokens that are good here: by their keys, at a URL or given. */
const zIssuer = z.strictObject({
  /** The claim `iss`, letter by letter. */
  issuer: z.string(),
  /** A JWK Set (RFC 7517) that is fetched, or null. */
  jwksUri: z.string().nullable(),
  /** PEM of an RSA key, or null. */
  publicKey: z.string().nullable(),
  /** What `aud` must name; null: the token must have none. */
  audience: z.string().nullable(),
  /** The claim that has the name of the user. */
  usernameClaim: z.string(),
});
export type Issuer = z.infer<typeof zIssuer>;

/** People who share a domain, their users and their images: written by the api alone. */
const zTenant = z.strictObject({
  tenantId: z.string(),
  description: z.string(),
  /** Inactive: nobody of it is let in; its pods run on. */
  active: z.boolean(),
  /** Beside our own. */
  issuers: z.array(zIssuer),
  /** Users of those issuers who are admins here. */
  admins: z.array(z.string()),
  /** Users of those issuers who are let in; null: all. */
  allowedUsers: z.array(z.string()).nullable(),
  /** How its pods come by certificates; absent: as the site's. */
  certificateMode: z.enum(certificateModes).optional(),
  createdBy: z.string(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});
export type Tenant = z.infer<typeof zTenant>;

/** By their ids. The site's first tenant is there without a record. */
export const tenants = (store: Store): Collection<Tenant> => collection(store, 'tenants', zTenant);
