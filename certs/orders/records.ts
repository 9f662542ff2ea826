import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { CertificateMode, CertificateState } from '#contracts/certificate-state.ts';
import {
  attemptsMax,
  certificateRequests,
  certificateStates,
} from '#contracts/certificate-state.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { SealBroken } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { BrokenDocument } from '#contracts/store.ts';

/** Before anything was done. */
export const newState = (mode: CertificateMode): CertificateState => ({
  mode,
  phase: 'none',
  ca: null,
  profile: null,
  queuePlace: null,
  attempts: [],
  failures: 0,
  nextAttemptAtMs: null,
  rehearsed: false,
  renewal: null,
  notAfterMs: null,
  replaces: null,
  rotation: 0,
  order: null,
  setBudgets: [],
});

/** The certificate of that id; one that cannot be read is as good as none. */
export async function storedCertificate(
  store: Store,
  id: string,
): Promise<Certificate | 'none' | 'broken'> {
  try {
    return (await certificates(store).get(id))?.value ?? 'none';
  } catch (error) {
    if (error instanceof BrokenDocument) return 'broken';
    throw error;
  }
}

export async function storedState(
  store: Store,
  id: string,
): Promise<{ readonly value: CertificateState; readonly version: number } | undefined> {
  try {
    return await certificateStates(store).get(id);
  } catch (error) {
    // It says how we came here; what there is says where to go.
    if (error instanceof BrokenDocument) return undefined;
    throw error;
  }
}

/** Whether there is a state, readable or not. */
export async function hasState(store: Store, id: string): Promise<boolean> {
  try {
    return (await certificateStates(store).get(id)) !== undefined;
  } catch (error) {
    if (error instanceof BrokenDocument) return true;
    throw error;
  }
}

/** How often users asked for a new key. */
export const askedRotation = async (store: Store, id: string): Promise<number> =>
  (await certificateRequests(store).get(id))?.value.rotation ?? 0;

export function keyOpens(sealer: Sealer, id: string, { key }: Certificate): boolean {
  try {
    sealer.open(key, sealContext.certificate(id));
    return true;
  } catch (error) {
    if (error instanceof SealBroken) return false;
    throw error;
  }
}

/** With one more failed try, and without those that are too many. */
export const withAttempt = (
  state: CertificateState,
  attempt: { readonly atMs: number; readonly ca: string; readonly error: string },
): CertificateState['attempts'] =>
  [...state.attempts, { ...attempt, error: attempt.error.slice(0, 1000) }].slice(-attemptsMax);
