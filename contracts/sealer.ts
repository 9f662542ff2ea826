import { z } from 'zod';

/**
 * A secret encrypted for rest: `v1.<key id>.<base64url nonce>.<base64url ciphertext and tag>`
 * (AES-256-GCM, NIST SP 800-38D). Stores, snapshots and messages carry only this form.
 */
export const zSealed = z
  .string()
  .regex(/^v1\.[\w-]+\.[\w-]+\.[\w-]+$/)
  .brand<'Sealed'>();
export type Sealed = z.infer<typeof zSealed>;

/** Encrypts what must not lie about in the clear. */
export interface Sealer {
  /**
   * `context` says what the text belongs to (for example `pod/default/hello/environment`) and is
   * authenticated: a sealed value that was moved to another place does not open.
   */
  seal(text: string, context: string): Sealed;
  /** Throws `SealBroken` when the key is unknown, the context differs or a byte was changed. */
  open(sealed: Sealed, context: string): string;
}

export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}
