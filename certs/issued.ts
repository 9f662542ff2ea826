import type { Sealed } from '#contracts/sealer.ts';
import type { Validity } from './authority/sign.ts';

/** What an authority made for us, whichever it was. */
export interface Issued extends Validity {
  /** PEM, leaf first. */
  readonly chain: string;
  readonly key: Sealed;
}
