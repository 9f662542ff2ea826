import type { Certificate } from '#contracts/certificate.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';

/** Of this host, as certs stores it under `id`; it never ends. */
export const storedCertificate = (
  sealer: Sealer,
  { chain, key }: { readonly chain: string; readonly key: string },
  { id, host }: { readonly id: string; readonly host: string },
): Certificate => ({
  hosts: [host],
  chain,
  key: sealer.seal(key, sealContext.certificate(id)),
  notBeforeMs: 0,
  notAfterMs: Number.MAX_SAFE_INTEGER,
  renewAtMs: Number.MAX_SAFE_INTEGER,
  issuer: 'bench',
});
