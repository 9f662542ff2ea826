import type { Certificate } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { Store } from '#contracts/store.ts';
import type { PublicAuthority } from '../acme/authority.ts';
import { renewalId } from '../acme/chain.ts';
import { CaProblem } from '../acme/problem.ts';
import { renewalFrom } from '../acme/renewal-info.ts';
import { readStanding } from '../limits/standing.ts';
import type { Wanted } from '../wanted.ts';
import type { Authorities } from './authorities.ts';
import type { Hold } from './slots.ts';

const askAgainMs = 60 * 60 * 1000;

interface RenewalPorts {
  readonly store: Store;
  readonly random: Random;
  readonly log: Log;
}

interface Question {
  readonly id: string;
  readonly wanted: Wanted;
  readonly state: CertificateState;
  readonly certificate: Certificate | undefined;
  readonly hold: Hold;
}

type Told = Pick<CertificateState, 'renewal' | 'replaces'>;

/** Asks authorities when certificates are to be renewed (RFC 9773). */
export class Renewals {
  readonly #ports: RenewalPorts;
  readonly #authorities: Authorities;

  constructor(ports: RenewalPorts, authorities: Authorities) {
    this.#ports = ports;
    this.#authorities = authorities;
  }

  /** Reads the window again. A failure is tried again in an hour, or when the authority asks for it. */
  async ask({ id, state, certificate, hold, wanted }: Question): Promise<void> {
    const authority = this.#authorities.named(certificate?.issuer);
    if (!authority || !certificate) return;
    const told = await this.#told(authority, certificate, state);
    const next = { ...state, ...told, mode: wanted.mode };
    await certificateStates(this.#ports.store).put(id, next, 'anything', hold.fence);
  }

  async #told(
    authority: PublicAuthority,
    { chain }: Certificate,
    { renewal: before, replaces }: CertificateState,
  ): Promise<Told> {
    const { store, random, log } = this.#ports;
    const nowMs = this.#authorities.clock.nowMs();
    const later = (atMs: number | null): Told => ({
      renewal: before && { ...before, askAgainAtMs: atMs },
      replaces: atMs === null ? null : replaces,
    });
    const { pausedUntilMs } = await readStanding(store, authority.name);
    if (pausedUntilMs > nowMs) return later(pausedUntilMs);
    const id = renewalId(chain);
    try {
      const session = await this.#authorities.session(authority);
      const { renewalInfo } = await session.directory();
      if (renewalInfo === undefined || id === undefined) return later(null);
      const answer = await session.renewalInfo(renewalInfo, id);
      const fraction = random.fraction();
      return { renewal: renewalFrom(answer, { before, nowMs, fraction }), replaces: id };
    } catch (error) {
      if (!(error instanceof CaProblem)) throw error;
      log.warn({ ca: authority.name, error: error.message }, 'no renewal information');
      // Orders go on where only this fails, unless it wants to be left alone.
      const asked = error.limited || error.retryAfterMs !== undefined;
      const pausedMs = asked ? await this.#authorities.leaveAlone(authority, error) : 0;
      return later(Math.max(pausedMs, nowMs + askAgainMs));
    }
  }
}
