import { certificates } from '#contracts/certificate.ts';
import type { CertificatePhase, CertificateState, Order } from '#contracts/certificate-state.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { PublicAuthorities, PublicAuthority } from '../acme/authority.ts';
import { renewalId } from '../acme/chain.ts';
import { CaProblem } from '../acme/problem.ts';
import type { OrderPorts } from '../acme/run-order.ts';
import { runOrder } from '../acme/run-order.ts';
import type { Issued } from '../issued.ts';
import { changeStanding, readStanding, well } from '../limits/standing.ts';
import { activated, calm } from './active.ts';
import type { Asking, Wait } from './admit.ts';
import { admitted, termsOf, waitOfHosts } from './admit.ts';
import { Authorities } from './authorities.ts';
import { begunState, restingUntil } from './begun.ts';
import { candidates } from './choose.ts';
import { afterFailure } from './failed.ts';
import { Renewals } from './renewals.ts';
import type { Hold } from './slots.ts';

const accountAgainMs = 60 * 60 * 1000;

export interface TurnPorts extends OrderPorts {
  readonly random: Random;
  readonly log: Log;
}

export interface Turn extends Asking {
  readonly id: string;
  readonly rotation: number;
  readonly reason: string;
  readonly hold: Hold;
}

/** `held`: nobody of its need gets an order before; `again`: look at it again at once. */
export type TurnEnd =
  | { readonly kind: 'done' | 'again' }
  | { readonly kind: 'held'; readonly untilMs: number };

/** Orders, step by step, with the authorities that are configured. */
export class Orders {
  /** Names under which certificates that we use are issued. */
  readonly names: readonly string[];
  readonly renewals: Renewals;
  readonly #ports: TurnPorts;
  readonly #authorities: Authorities;

  constructor(ports: TurnPorts, authorities: PublicAuthorities) {
    this.#ports = ports;
    this.#authorities = new Authorities(ports, authorities);
    this.renewals = new Renewals(ports, this.#authorities);
    this.names = authorities.real.map(({ name }) => name);
  }

  /** Goes on with the order of a certificate, or begins one where the limits allow it. */
  async take(turn: Turn): Promise<TurnEnd> {
    const begun = await this.#begin(turn);
    if ('untilMs' in begun) {
      if (!begun.alone) return { kind: 'held', untilMs: begun.untilMs };
      await this.#put(turn, restingUntil(turn.state, begun, this.#ports.clock.nowMs()));
      return { kind: 'again' };
    }
    const { authority } = begun;
    let { state } = begun;
    const { order } = state;
    if (!order) return { kind: 'again' };
    const { id, hold } = turn;
    try {
      const session = await this.#authorities.session(authority);
      const save = async (changed: Order, phase: CertificatePhase): Promise<void> => {
        state = { ...state, phase, order: changed };
        await this.#put(turn, state);
      };
      const job = { id, session, fence: hold.fence, signal: hold.signal, save };
      const issued = await runOrder(this.#ports, job, order);
      await this.#authorities.change(authority, well);
      return await this.#finished(turn, { authority, state, issued });
    } catch (error) {
      hold.signal.throwIfAborted();
      if (!(error instanceof Error)) throw error;
      await this.#failed(turn, { authority, state, error });
      return { kind: 'again' };
    }
  }

  async #begin(
    turn: Turn,
  ): Promise<{ authority: PublicAuthority; state: CertificateState } | Wait> {
    const { order } = turn.state;
    const owner = this.#authorities.named(order?.ca);
    // What the authority has goes to its end, for other hosts as well: no host has two orders at a time.
    const same = order?.hosts.join() === turn.wanted.hosts.join();
    if (order && owner && (same || order.url !== null)) {
      const untilMs = await this.#pausedUntilMs(owner);
      // Another authority may serve the others meanwhile.
      if (untilMs > this.#ports.clock.nowMs()) return { untilMs, alone: true };
      return { authority: owner, state: turn.state };
    }
    let wait: Wait = { untilMs: Infinity, alone: false };
    for (const authority of candidates(this.#authorities.configured, turn.state)) {
      const asked = await this.#order(turn, authority);
      if ('ca' in asked) {
        const state = begunState(turn, asked);
        await this.#put(turn, state);
        return { authority, state };
      }
      // Held up for its own sake by one of them, it says nothing about the others.
      const untilMs = Math.min(wait.untilMs, asked.untilMs);
      wait = { ...wait, ...asked, untilMs, alone: wait.alone || asked.alone };
    }
    return wait;
  }

  /** An order that this authority's limits allow now. */
  async #order(turn: Turn, authority: PublicAuthority): Promise<Order | Wait> {
    const { store, clock } = this.#ports;
    const nowMs = clock.nowMs();
    const untilMs = await this.#pausedUntilMs(authority);
    if (untilMs > nowMs) return { untilMs, alone: false };
    const { charge, replaces } = termsOf(turn, authority, nowMs);
    const waits = waitOfHosts(turn, authority, charge, nowMs);
    if (waits) return waits;
    const profile = await this.#profile(authority);
    if (profile !== null && typeof profile === 'object') return profile;
    const held = await changeStanding(store, authority.name, (standing) =>
      admitted(standing, authority, charge, nowMs),
    );
    if (held) return held;
    return {
      ca: authority.name,
      hosts: [...turn.wanted.hosts],
      profile,
      replaces,
      startedAtMs: nowMs,
      url: null,
      key: null,
      csr: null,
      certificateUrl: null,
    };
  }

  async #pausedUntilMs({ name }: PublicAuthority): Promise<number> {
    return (await readStanding(this.#ports.store, name)).pausedUntilMs;
  }

  /** The profile that was asked for, where the authority offers it; or that it wants to be left alone. */
  async #profile(authority: PublicAuthority): Promise<string | null | Wait> {
    if (authority.profile === undefined) return null;
    try {
      const session = await this.#authorities.session(authority);
      const { meta } = await session.directory();
      return Object.hasOwn(meta.profiles, authority.profile) ? authority.profile : null;
    } catch (error) {
      if (!(error instanceof CaProblem)) throw error;
      // What is wrong with us shows in the order itself, and is settled there.
      if (!error.passing && !error.limited) return null;
      return { untilMs: await this.#authorities.leaveAlone(authority, error), alone: false };
    }
  }

  async #finished(
    turn: Turn,
    done: { authority: PublicAuthority; state: CertificateState; issued: Issued },
  ): Promise<TurnEnd> {
    const { authority, state, issued } = done;
    const { id, hold, wanted } = turn;
    if (authority === this.#authorities.configured.staging) {
      await this.#put(turn, { ...state, ...calm, phase: 'queued', rehearsed: true });
      return { kind: 'again' };
    }
    const { store, log, clock, random } = this.#ports;
    const active = activated(state, {
      authority,
      hosts: state.order?.hosts ?? wanted.hosts,
      issued,
      replaces: (await this.#tellsWindows(authority)) ? (renewalId(issued.chain) ?? null) : null,
      rotation: turn.rotation,
      nowMs: clock.nowMs(),
      fraction: random.fraction(),
    });
    await certificates(store).put(id, active.certificate, 'anything', hold.fence);
    await this.#put(turn, active.state);
    log.info({ certificate: id, hosts: wanted.hosts, reason: turn.reason }, 'certificate issued');
    return { kind: 'again' };
  }

  /** Whether it is to be asked when to renew: also where it does not answer now. */
  async #tellsWindows(authority: PublicAuthority): Promise<boolean> {
    try {
      const session = await this.#authorities.session(authority);
      return (await session.directory()).renewalInfo !== undefined;
    } catch (error) {
      if (!(error instanceof CaProblem)) throw error;
      if (error.passing || error.limited) await this.#authorities.leaveAlone(authority, error);
      return true;
    }
  }

  async #failed(
    turn: Turn,
    what: { authority: PublicAuthority; state: CertificateState; error: Error },
  ): Promise<void> {
    const { authority, error } = what;
    const { clock, random, log } = this.#ports;
    const nowMs = clock.nowMs();
    const gone = error instanceof CaProblem && error.accountGone;
    const failure = {
      error: gone ? await this.#replaced(authority, error) : error,
      ca: authority.name,
      nowMs,
      fraction: random.fraction(),
    };
    const { state, blame } = afterFailure(what.state, failure);
    await this.#put(turn, state);
    log.warn({ certificate: turn.id, ca: authority.name, error: error.message }, 'order failed');
    if (blame !== undefined) await this.#authorities.leaveAlone(authority, blame);
  }

  /** An order of an account that is gone is over, and no fault of its hosts. */
  async #replaced(authority: PublicAuthority, { message }: Error): Promise<CaProblem> {
    try {
      await this.#authorities.account(authority).replace();
      return new CaProblem(`${message}: another account is made`);
    } catch (error) {
      if (!(error instanceof CaProblem)) throw error;
      return new CaProblem(`${message}: ${error.message}`, { retryAfterMs: accountAgainMs });
    }
  }

  async #put({ id, hold }: Turn, state: CertificateState): Promise<void> {
    hold.signal.throwIfAborted();
    await certificateStates(this.#ports.store).put(id, state, 'anything', hold.fence);
  }
}
