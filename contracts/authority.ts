import { z } from 'zod';
import { zSealed } from './sealer.ts';
import type { Collection, Store } from './store.ts';
import { collection } from './store.ts';

/** A signer of our own certificate authority: the certificate for everybody, the key sealed. */
const zSigner = z.strictObject({
  /** PEM. */
  certificate: z.string(),
  key: zSealed,
});

/** Written by certs alone; `rootId(domain)` is what people trust. */
export const signers = (store: Store): Collection<z.infer<typeof zSigner>> =>
  collection(store, 'authority', zSigner);

export const rootId = (domain: string): string => `root/${domain}`;
