import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import { desiredPods } from '#contracts/pod.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Store } from '#contracts/store.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { PublicAuthority } from '../../certs/acme/authority.ts';
import { noPreflight } from '../../certs/acme/preflight.ts';
import type { Certs, PublicTerms } from '../../certs/certs.ts';
import { startCerts } from '../../certs/certs.ts';
import { noLimits } from '../../certs/limits/budget.ts';
import { desiredPod } from '../pod-examples.ts';
import { MockAuthority } from './server.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export const authorityAt = (
  directoryUrl: string,
  more: Partial<PublicAuthority> = {},
): PublicAuthority => ({
  name: new URL(directoryUrl).host,
  directoryUrl,
  roots: undefined,
  contact: ['mailto:ops@example.org'],
  binding: undefined,
  profile: undefined,
  limits: noLimits,
  ...more,
});

/** A mock authority, a store, and certs programs between them, on one clock. */
export class World {
  readonly clock = new ManualClock();
  readonly store: Store = new MemoryStore();
  readonly leases: Leases = new MemoryLeases(this.clock);
  readonly authority = new MockAuthority(this.clock);
  directoryUrl = '';
  readonly #folder = mkdtempSync(join(tmpdir(), 'podgate-acme-'));
  readonly sealer = openSealer(join(this.#folder, 'key'));
  readonly #running: Certs[] = [];

  static async open(): Promise<World> {
    const world = new World();
    world.directoryUrl = await world.authority.start();
    return world;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.authority.stop();
    rmSync(this.#folder, { recursive: true });
  }

  /** Ends all certs programs. */
  async stop(): Promise<void> {
    for (const certs of this.#running.splice(0)) await certs.stop();
  }

  async start(
    more: Partial<PublicTerms> = {},
    ports: { holder?: string; store?: Store } = {},
  ): Promise<Certs> {
    const { clock, leases, sealer } = this;
    const certs = await startCerts(
      { store: ports.store ?? this.store, clock, leases, sealer, random: systemRandom, log: quiet },
      {
        site: { domain: 'example.org', tenant: 'default' },
        holder: ports.holder ?? 'one',
        others: {
          mode: 'per-pod',
          authorities: { real: [authorityAt(this.directoryUrl)], staging: undefined },
          preflight: noPreflight,
          dns: undefined,
          ...more,
        },
      },
    );
    this.#running.push(certs);
    return certs;
  }

  async desire(podId: string, networks: readonly string[] = ['default']): Promise<void> {
    const networking = Object.fromEntries(
      networks.map((name) => [name, { protocol: 'http' as const, port: 80 }]),
    );
    const pod = desiredPod({ podId, networking, createdAtMs: this.clock.nowMs() });
    await desiredPods(this.store).put(`default/${podId}`, pod, 'anything');
  }

  certificate = async (id: string): Promise<Certificate | undefined> =>
    (await certificates(this.store).get(id))?.value;

  state = async (id: string): Promise<CertificateState | undefined> =>
    (await certificateStates(this.store).get(id))?.value;

  /** What the mock authority was asked for over this host, oldest first. */
  ordersOf = (host: string) => this.authority.orders.filter(({ hosts }) => hosts.includes(host));

  /**
   * Nothing was under way for some turns of the loop: requests over the loopback take real time, of which
   * the clock knows nothing.
   */
  async calm(turns = 3): Promise<void> {
    for (let calm = 0; calm < turns; calm += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.authority.underWay > 0) calm = 0;
    }
  }

  /** Lets the clock go, in steps, until `found` is. Real time is bounded, too. */
  async until<T>(
    look: () => Promise<T | undefined | false>,
    stepMs = 100,
    steps = 3000,
  ): Promise<T> {
    for (let step = 0; step < steps; step += 1) {
      const found = await look();
      if (found) return found;
      await this.calm();
      // What failed once is tried again after minutes.
      await this.clock.advance(step < steps / 3 ? stepMs : stepMs * 10);
    }
    throw new Error('waited in vain');
  }

  /** The certificate of a pod from the mock authority, as soon as it is there. */
  issued = (podId: string, stepMs?: number): Promise<Certificate> =>
    this.until(async () => {
      const found = await this.certificate(`pod/default/${podId}`);
      const state = await this.state(`pod/default/${podId}`);
      return state?.phase === 'active' ? found : undefined;
    }, stepMs);
}
