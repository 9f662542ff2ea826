import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { CertificatePhase, CertificateState, Order } from '#contracts/certificate-state.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import { AcmeAccount } from '../acme/account.ts';
import type { PublicAuthorities, PublicAuthority } from '../acme/authority.ts';
import { renewalId } from '../acme/chain.ts';
import { CaProblem } from '../acme/problem.ts';
import { renewalFrom } from '../acme/renewal-info.ts';
import type { OrderPorts } from '../acme/run-order.ts';
import { runOrder } from '../acme/run-order.ts';
import type { Issued } from '../issued.ts';
import { charge } from '../limits/budget.ts';
import type { Standing } from '../limits/standing.ts';
import { changeStanding, limited, readStanding, troubled, well } from '../limits/standing.ts';
import { renewalOf } from '../schedule.ts';
import type { Wanted } from '../wanted.ts';
import { begunState } from './begun.ts';
import { candidates } from './choose.ts';
import { afterFailure } from './failed.ts';
import type { Hold } from './slots.ts';

const askAgainMs = 60 * 60 * 1000;

export interface TurnPorts extends OrderPorts {
  readonly random: Random;
  readonly log: Log;
}

export interface Turn {
  readonly id: string;
  readonly wanted: Wanted;
  readonly state: CertificateState;
  readonly certificate: Certificate | undefined;
  readonly rotation: number;
  readonly urgent: boolean;
  readonly reason: string;
  readonly hold: Hold;
}

/** `held`: nobody of its class gets an order before; `again`: look at it again at once. */
export type TurnEnd =
  | { readonly kind: 'done' | 'again' }
  | { readonly kind: 'held'; readonly untilMs: number };

/** Orders, step by step, with the authorities that are configured. */
export class Orders {
  /** Names under which certificates that we use are issued. */
  readonly names: readonly string[];
  readonly #ports: TurnPorts;
  readonly #authorities: PublicAuthorities;
  readonly #accounts = new Map<string, AcmeAccount>();

  constructor(ports: TurnPorts, authorities: PublicAuthorities) {
    this.#ports = ports;
    this.#authorities = authorities;
    this.names = authorities.real.map(({ name }) => name);
  }

  /** Goes on with the order of a certificate, or begins one where the limits allow it. */
  async take(turn: Turn): Promise<TurnEnd> {
    const begun = await this.#begin(turn);
    if ('untilMs' in begun) return { kind: 'held', untilMs: begun.untilMs };
    const { authority } = begun;
    let { state } = begun;
    const { order } = state;
    if (!order) return { kind: 'again' };
    const { id, hold } = turn;
    try {
      const session = await this.#account(authority).session();
      const save = async (changed: Order, phase: CertificatePhase): Promise<void> => {
        state = { ...state, phase, order: changed };
        await this.#put(turn, state);
      };
      const job = { id, session, fence: hold.fence, signal: hold.signal, save };
      const issued = await runOrder(this.#ports, job, order);
      await this.#standing(authority, (standing) => well(standing));
      return await this.#finished(turn, { authority, state, issued });
    } catch (error) {
      hold.signal.throwIfAborted();
      if (!(error instanceof Error)) throw error;
      await this.#failed(turn, { authority, state, error });
      return { kind: 'again' };
    }
  }

  /** Reads the window for renewing again; a failure is tried again in an hour. */
  async ask({
    id,
    state,
    certificate,
    hold,
    wanted,
  }: Omit<Turn, 'urgent' | 'reason'>): Promise<void> {
    const authority = this.#named(certificate?.issuer);
    if (!authority || !certificate) return;
    const renewal = await this.#renewal(authority, certificate, state.renewal);
    const next = { ...state, mode: wanted.mode, renewal };
    await certificateStates(this.#ports.store).put(id, next, 'anything', hold.fence);
  }

  #named(name: string | undefined): PublicAuthority | undefined {
    const { real, staging } = this.#authorities;
    return [...real, ...(staging ? [staging] : [])].find((each) => each.name === name);
  }

  #account(authority: PublicAuthority): AcmeAccount {
    const known = this.#accounts.get(authority.name);
    if (known) return known;
    const made = new AcmeAccount(this.#ports, authority);
    this.#accounts.set(authority.name, made);
    return made;
  }

  async #begin(
    turn: Turn,
  ): Promise<{ authority: PublicAuthority; state: CertificateState } | { untilMs: number }> {
    const { order } = turn.state;
    const owner = this.#named(order?.ca);
    const nowMs = this.#ports.clock.nowMs();
    // What the authority has goes to its end, for other hosts as well: no host has two orders at a time.
    const same = order?.hosts.join() === turn.wanted.hosts.join();
    if (order && owner && (same || order.url !== null)) {
      const { pausedUntilMs } = await readStanding(this.#ports.store, owner.name);
      if (pausedUntilMs > nowMs) return { untilMs: pausedUntilMs };
      return { authority: owner, state: turn.state };
    }
    let untilMs = Infinity;
    for (const authority of candidates(this.#authorities, turn.state)) {
      const asked = await this.#order(turn, authority);
      if ('order' in asked) {
        const state = begunState(turn, asked.order);
        await this.#put(turn, state);
        return { authority, state };
      }
      untilMs = Math.min(untilMs, asked.untilMs);
    }
    return { untilMs };
  }

  /** An order that this authority's limits allow now. */
  async #order(
    { state, wanted, certificate, urgent }: Turn,
    authority: PublicAuthority,
  ): Promise<{ order: Order } | { untilMs: number }> {
    const { store, clock } = this.#ports;
    const nowMs = clock.nowMs();
    const renewal = certificate?.hosts.join() === wanted.hosts.join();
    const ours = certificate?.issuer === authority.name;
    const replaces = renewal && ours ? state.replaces : null;
    const exempt = replaces !== null && state.renewal !== null && state.renewal.startMs <= nowMs;
    const result = await changeStanding(store, authority.name, (standing) => {
      if (standing.pausedUntilMs > nowMs)
        return { standing, result: { untilMs: standing.pausedUntilMs } };
      const what = { urgent, exempt, renewal: renewal && ours };
      const charged = charge(standing, authority.limits, what, nowMs);
      if ('waitUntilMs' in charged) return { standing, result: { untilMs: charged.waitUntilMs } };
      return { standing: { ...standing, ...charged.account }, result: undefined };
    });
    if (result) return result;
    const order: Order = {
      ca: authority.name,
      hosts: [...wanted.hosts],
      profile: await this.#profile(authority),
      replaces,
      startedAtMs: nowMs,
      url: null,
      key: null,
      csr: null,
      certificateUrl: null,
    };
    return { order };
  }

  /** The profile that was asked for, where the authority offers it. */
  async #profile(authority: PublicAuthority): Promise<string | null> {
    if (authority.profile === undefined) return null;
    try {
      const session = await this.#account(authority).session();
      const { meta } = await session.directory();
      return Object.hasOwn(meta.profiles, authority.profile) ? authority.profile : null;
    } catch (error) {
      // What is wrong with it shows in the order itself, and is settled there.
      if (error instanceof CaProblem) return null;
      throw error;
    }
  }

  async #finished(
    turn: Turn,
    done: { authority: PublicAuthority; state: CertificateState; issued: Issued },
  ): Promise<TurnEnd> {
    const { authority, state, issued } = done;
    const { id, hold, wanted } = turn;
    const calm = { ...state, order: null, nextAttemptAtMs: null, queuePlace: null };
    if (authority === this.#authorities.staging) {
      await this.#put(turn, { ...calm, phase: 'queued', rehearsed: true });
      return { kind: 'again' };
    }
    const { notBeforeMs, notAfterMs, chain, key } = issued;
    const planned = renewalOf({ notBeforeMs, notAfterMs }, this.#ports.random.fraction());
    const certificate: Certificate = {
      hosts: state.order?.hosts ?? [...wanted.hosts],
      chain,
      key,
      notBeforeMs,
      notAfterMs,
      renewAtMs: planned.atMs,
      issuer: authority.name,
    };
    const { store, log } = this.#ports;
    await certificates(store).put(id, certificate, 'anything', hold.fence);
    const session = await this.#account(authority).session();
    const offered = (await session.directory().catch(() => undefined))?.renewalInfo;
    // Asked at once in a turn of its own: the certificate does not wait for it.
    const askAgainAtMs = offered === undefined ? null : this.#ports.clock.nowMs();
    await this.#put(turn, {
      ...calm,
      phase: 'active',
      ca: authority.name,
      profile: state.order?.profile ?? null,
      attempts: [],
      failures: 0,
      rehearsed: false,
      renewal: { ...planned, askAgainAtMs },
      notAfterMs,
      replaces: offered === undefined ? null : (renewalId(chain) ?? null),
      rotation: turn.rotation,
    });
    log.info({ certificate: id, hosts: wanted.hosts, reason: turn.reason }, 'certificate issued');
    return { kind: 'again' };
  }

  async #renewal(
    authority: PublicAuthority,
    certificate: Certificate,
    before: CertificateState['renewal'],
  ): Promise<CertificateState['renewal']> {
    const { clock, random, log } = this.#ports;
    const nowMs = clock.nowMs();
    const id = renewalId(certificate.chain);
    try {
      const session = await this.#account(authority).session();
      const { renewalInfo } = await session.directory();
      if (renewalInfo === undefined || id === undefined)
        return before && { ...before, askAgainAtMs: null };
      const answer = await session.renewalInfo(renewalInfo, id);
      return renewalFrom(answer, { before, nowMs, fraction: random.fraction() });
    } catch (error) {
      if (!(error instanceof CaProblem)) throw error;
      log.warn({ ca: authority.name, error: error.message }, 'no renewal information');
      return before && { ...before, askAgainAtMs: nowMs + askAgainMs };
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
    const { state, blame, askedMs } = afterFailure(what.state, failure);
    await this.#put(turn, state);
    log.warn({ certificate: turn.id, ca: authority.name, error: error.message }, 'order failed');
    const about = { reason: error.message, askedMs, nowMs };
    if (blame === 'troubled') await this.#standing(authority, (now) => troubled(now, about));
    if (blame === 'limited') await this.#standing(authority, (now) => limited(now, about));
  }

  /** An order of an account that is gone is over, and no fault of its hosts. */
  async #replaced(authority: PublicAuthority, { message }: Error): Promise<CaProblem> {
    try {
      await this.#account(authority).replace();
      return new CaProblem(`${message}: another account is made`);
    } catch (error) {
      if (!(error instanceof CaProblem)) throw error;
      return new CaProblem(`${message}: ${error.message}`, { retryAfterMs: askAgainMs });
    }
  }

  #standing({ name }: PublicAuthority, change: (now: Standing) => Standing): Promise<void> {
    const write = (now: Standing) => ({ standing: change(now), result: undefined });
    return changeStanding(this.#ports.store, name, write);
  }

  async #put({ id, hold }: Turn, state: CertificateState): Promise<void> {
    hold.signal.throwIfAborted();
    await certificateStates(this.#ports.store).put(id, state, 'anything', hold.fence);
  }
}
