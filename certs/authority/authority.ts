import { rootId, signers } from '#contracts/authority.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { WriteConflict } from '#contracts/store.ts';
import type { Signer, Validity } from './sign.ts';
import { intermediateLifeMs, makeIntermediate, makeLeaf, makeRoot, notAfterMs } from './sign.ts';

/** Our own certificate authority: a root kept for ten years, and the intermediate that signs. */

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
  readonly issue: (hosts: readonly string[]) => Promise<Validity & { chain: string; key: string }>;
}

/** Opens the authority of `domain`; the first call in a store's life makes it. */
export async function openAuthority(ports: AuthorityPorts, domain: string): Promise<Authority> {
  const { clock, random } = ports;
  const root = await keep(ports, rootId(domain), {
    // For ever: a new one would have to be imported by every person and machine again.
    usable: () => true,
    make: () => makeRoot(domain, clock.nowMs(), random),
  });
  const intermediate = (): Promise<Signer> =>
    keep(ports, `intermediate/${domain}`, {
      usable: ({ certificate }) => !replaceSigner(certificate, root.certificate, clock.nowMs()),
      make: () => makeIntermediate(root, domain, clock.nowMs(), random),
    });
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

/**
 * Whether an intermediate has less than a third of its life left: every leaf it signed has been
 * replaced long before it ends. One that ends with the root cannot be bettered.
 */
function replaceSigner(intermediate: string, root: string, nowMs: number): boolean {
  const endMs = notAfterMs(intermediate);
  return endMs < notAfterMs(root) && endMs - nowMs < intermediateLifeMs / 3;
}

/** The stored signer while it is usable, else a new one; whoever stores it first wins. */
async function keep(
  ports: AuthorityPorts,
  id: string,
  terms: { usable(signer: Signer): boolean; make(): Promise<Signer> },
): Promise<Signer> {
  const { store, sealer } = ports;
  const stored = await signers(store).get(id);
  if (stored) {
    const { certificate, key } = stored.value;
    const signer = { certificate, key: sealer.open(key, sealedAs(id)) };
    if (terms.usable(signer)) return signer;
  }
  const made = await terms.make();
  const key = sealer.seal(made.key, sealedAs(id));
  try {
    const expect = stored ? { version: stored.version } : 'absent';
    await signers(store).put(id, { certificate: made.certificate, key }, expect);
    return made;
  } catch (error) {
    if (!(error instanceof WriteConflict)) throw error;
    return keep(ports, id, terms);
  }
}
