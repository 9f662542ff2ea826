import type { Renewal } from '#contracts/certificate-state.ts';

/**
 * When to replace a certificate: at two thirds of its life, moved by up to a twelfth of it either
 * way, so that certificates made together are not renewed together. `fraction` is in [0, 1).
 */
export function renewAtMs(
  { notBeforeMs, notAfterMs }: { readonly notBeforeMs: number; readonly notAfterMs: number },
  fraction: number,
): number {
  const lifeMs = notAfterMs - notBeforeMs;
  return Math.round(notBeforeMs + lifeMs * (2 / 3 + (fraction - 0.5) / 6));
}

/** The window that follows from the life of a certificate, with the instant chosen in it. */
export function renewalOf(
  life: { readonly notBeforeMs: number; readonly notAfterMs: number },
  fraction: number,
): Renewal {
  const [startMs, endMs] = [renewAtMs(life, 0), renewAtMs(life, 1)];
  return { startMs, endMs, atMs: renewAtMs(life, fraction), askAgainAtMs: null };
}
