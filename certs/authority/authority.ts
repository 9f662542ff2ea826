import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';
import type { Signer, Validity } from './sign.ts';
import { intermediateLifeMs, makeIntermediate, makeLeaf, makeRoot, notAfterMs } from './sign.ts';

/** Our own certificate authority: a root kept for ten years, and the intermediate that signs. */

const zSigner = z.strictObject({ certificate: z.string(), key: zSealed });
const sealedAs = (id: string): string => `authority/${id}/key`;

export interface AuthorityPorts {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Authority {
  readonly rootPem: string;
  readonly name: string;
  /** A leaf for `hosts` with its chain (leaf, intermediate) as PEM. */
  issue(hosts: readonly string[]): Promise<Validity & { chain: string; key: string }>;
}

/** Opens the authority of `domain`; the first call in a store's life makes it. */
export async function openAuthority(ports: AuthorityPorts, domain: string): Promise<Authority> {
  const { clock, random } = ports;
  const root = await keep(ports, `root/${domain}`, () => makeRoot(domain, clock.nowMs(), random));
  const intermediate = async (): Promise<Signer> => {
    const make = (): Promise<Signer> => makeIntermediate(root, domain, clock.nowMs(), random);
    const kept = await keep(ports, `intermediate/${domain}`, make);
    // A third of its life is left: every leaf it signed has been replaced long before it ends.
    if (notAfterMs(kept.certificate) - clock.nowMs() > intermediateLifeMs / 3) return kept;
    await signers(ports.store).remove(`intermediate/${domain}`, 'anything');
    return keep(ports, `intermediate/${domain}`, make);
  };
  await intermediate();
  return {
    rootPem: root.certificate.trimEnd() + '\n',
    name: 'Podgate own CA',
    issue: async (hosts) => {
      const signer = await intermediate();
      const leaf = await makeLeaf(signer, hosts, clock.nowMs(), random);
      const chain = `${leaf.certificate.trimEnd()}\n${signer.certificate.trimEnd()}\n`;
      return { chain, key: leaf.key, notBeforeMs: leaf.notBeforeMs, notAfterMs: leaf.notAfterMs };
    },
  };
}

const signers = (store: Store) => collection(store, 'authority', zSigner);

/** The stored signer, or a new one; whoever stores it first wins, so that there is only one. */
async function keep(
  ports: AuthorityPorts,
  id: string,
  make: () => Promise<Signer>,
): Promise<Signer> {
  const { store, sealer } = ports;
  const stored = await signers(store).get(id);
  if (stored) {
    const { certificate, key } = stored.value;
    return { certificate, key: sealer.open(key, sealedAs(id)) };
  }
  const made = await make();
  try {
    const key = sealer.seal(made.key, sealedAs(id));
    await signers(store).put(id, { certificate: made.certificate, key }, 'absent');
    return made;
  } catch (error) {
    if (!(error instanceof WriteConflict)) throw error;
    return keep(ports, id, make);
  }
}
