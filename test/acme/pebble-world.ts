import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import type { Clock } from '#contracts/clock.ts';
import { desiredPods } from '#contracts/pod.ts';
import type { Store } from '#contracts/store.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { AccountPorts } from '../../certs/acme/account.ts';
import type { PublicAuthority } from '../../certs/acme/authority.ts';
import { noPreflight } from '../../certs/acme/preflight.ts';
import type { Certs } from '../../certs/certs.ts';
import { startCerts } from '../../certs/certs.ts';
import { desiredPod } from '../pod-examples.ts';
import { freePort } from '../programs/ports.ts';
import type { PebbleTerms } from '../programs/pebble.ts';
import { Pebble } from '../programs/pebble.ts';
import { authorityAt } from './world.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const pollMs = 100;

interface StartTerms {
  readonly holder?: string;
  readonly clock?: Clock;
  readonly authority?: Partial<PublicAuthority>;
}

/** The machine's clock, so much ahead. */
export const clockAhead = (byMs: number): Clock => ({
  ...systemClock,
  nowMs: () => systemClock.nowMs() + byMs,
});

/** A real authority, a store in memory, and certs programs between them, on the machine's clock. */
export class PebbleWorld {
  readonly store: Store = new MemoryStore();
  readonly pebble: Pebble;
  readonly #leases = new MemoryLeases(systemClock);
  readonly #folder = mkdtempSync(join(tmpdir(), 'podgate-pebble-'));
  readonly #sealer = openSealer(join(this.#folder, 'key'));
  readonly #running: Certs[] = [];

  static async open(program: string, terms: Omit<PebbleTerms, 'ports'> = {}): Promise<PebbleWorld> {
    const ports = { directory: await freePort(), management: await freePort() };
    return new PebbleWorld(await Pebble.start(program, { ports, ...terms }));
  }

  private constructor(pebble: Pebble) {
    this.pebble = pebble;
  }

  /** What an account with the authority needs. */
  get ports(): AccountPorts {
    return { store: this.store, sealer: this.#sealer, clock: systemClock };
  }

  authority = (more: Partial<PublicAuthority> = {}): PublicAuthority => {
    const roots = readFileSync(this.pebble.caFile, 'utf8');
    return authorityAt(this.pebble.directoryUrl, { roots, ...more });
  };

  /** Starts one more certs program of the site `example.test`. */
  async start({ holder = 'one', clock = systemClock, authority }: StartTerms = {}): Promise<void> {
    const real = [this.authority(authority)];
    const certs = await startCerts(
      { ...this.ports, clock, random: systemRandom, leases: this.#leases, log: quiet },
      {
        site: { domain: 'example.test', tenant: 'default' },
        holder,
        others: {
          mode: 'per-pod',
          authorities: { real, staging: undefined },
          preflight: noPreflight,
          dns: undefined,
        },
      },
    );
    this.#running.push(certs);
  }

  /** Ends all certs programs. */
  async stop(): Promise<void> {
    for (const certs of this.#running.splice(0)) await certs.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.pebble.stop();
    rmSync(this.#folder, { recursive: true });
  }

  async desire(podIds: readonly string[]): Promise<void> {
    for (const podId of podIds) {
      await desiredPods(this.store).put(`default/${podId}`, desiredPod({ podId }), 'absent');
    }
  }

  /** Those of pods that the authority has made, by the pod's id. */
  async issued(): Promise<Map<string, Certificate>> {
    const { documents } = await certificates(this.store).list();
    const issuer = new URL(this.pebble.directoryUrl).host;
    return new Map(
      documents
        .filter(({ id, value }) => id.startsWith('pod/') && value.issuer === issuer)
        .map(({ id, value }) => [id.slice('pod/default/'.length), value]),
    );
  }

  state = async (podId: string): Promise<CertificateState | undefined> =>
    (await certificateStates(this.store).get(`pod/default/${podId}`))?.value;

  /** Resolves when `condition` holds; throws after `boundMs`. */
  async until(condition: () => Promise<boolean>, boundMs = 60_000): Promise<void> {
    const deadlineMs = performance.now() + boundMs;
    while (!(await condition())) {
      if (performance.now() > deadlineMs) {
        throw new Error(`waited in vain: ${(await this.issued()).size} are issued`);
      }
      await systemClock.sleep(pollMs);
    }
  }
}
