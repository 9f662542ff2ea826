import type { Certificate } from '#contracts/certificate.ts';
import type { CertificateState, Renewal } from '#contracts/certificate-state.ts';
import type { PublicAuthority } from '../../certs/acme/authority.ts';
import { renewalFrom } from '../../certs/acme/renewal-info.ts';
import type { Limits } from '../../certs/limits/budget.ts';
import type { Standing } from '../../certs/limits/standing.ts';
import { activated } from '../../certs/orders/active.ts';
import { admitted, termsOf, waitOfHosts } from '../../certs/orders/admit.ts';
import type { Assessment } from '../../certs/orders/assess.ts';
import { assess, priorities } from '../../certs/orders/assess.ts';
import { begunState } from '../../certs/orders/begun.ts';
import { candidates } from '../../certs/orders/choose.ts';
import { concurrentMax } from '../../certs/orders/desk.ts';
import { newState } from '../../certs/orders/records.ts';
import { Waiting } from '../../certs/orders/waiting.ts';
import type { Wanted } from '../../certs/wanted.ts';
import { LimitingAuthority } from './authority.ts';
import { Events } from './events.ts';

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;
const orderMs = 10_000; // from asking to having: what a public authority takes, by and large

/** One run: how many want certificates, from whom, and what happens. */
export interface Scenario {
  readonly pods: number;
  /** Of each authority, in order of preference. */
  readonly limits: readonly Limits[];
  /** What certs is told of them; left out: the same. */
  readonly told?: readonly Limits[];
  readonly lifeMs: number;
  /** Whether authorities tell when to renew (RFC 9773). */
  readonly windows: boolean;
  readonly days: number;
  /** Ends when all have their own. */
  readonly untilCovered?: boolean;
  /** So many pods get another host on that day. */
  readonly otherHosts?: { readonly pods: number; readonly day: number };
  /** All windows move into the past on that day: the authority is about to revoke everything. */
  readonly revokedOnDay?: number;
  /** A bug that is planted in what `assess` says. */
  readonly planted?: (found: Assessment) => Assessment;
}

export interface Outcome {
  /** Until every pod had its own; undefined: not within the time. */
  readonly daysToCover: number | undefined;
  readonly covered: number;
  readonly renewed: number;
  /** Certificates that ended before the next one was there. */
  readonly late: number;
  /** The least share of a life that was left when a certificate was renewed. */
  readonly leastLeft: number;
  /** How long no wildcard of an authority was valid, which every pod's host has beside its own. */
  readonly wildcardMissingMs: number;
  /** Orders that an authority refused for its limits. */
  readonly refused: number;
  readonly exempt: number;
  /** From a revocation of all to the last new certificate. */
  readonly hoursToReplace: number | undefined;
}

interface Holder {
  readonly id: string;
  wanted: Wanted;
  state: CertificateState;
  certificate: Certificate | undefined;
  /** Only the newest alarm counts. */
  alarm: number;
}

interface Event {
  readonly kind: 'look' | 'issued' | 'dispatch' | 'otherHosts' | 'revoked';
  readonly holder?: Holder;
  readonly alarm?: number;
}

/**
 * The queue of `certs` on a virtual clock. What decides is the program's own: `assess`, `Waiting`,
 * `candidates`, `termsOf`, `waitOfHosts`, `admitted`, `begunState`, `activated`, `renewalFrom`. What
 * carries it out (`OrderDesk`, `Orders`, `Manager`) is replaced by this, as it reads and writes a store for
 * each step; `test/acme` has those.
 */
export class Capacity {
  readonly #scenario: Scenario;
  readonly #events = new Events<Event>();
  readonly #waiting = new Waiting();
  readonly #authorities: readonly (PublicAuthority & { readonly real: LimitingAuthority })[];
  readonly #standings: Standing[];
  readonly #holders = new Map<string, Holder>();
  #nowMs = Date.UTC(2026, 0, 1);
  readonly #startMs = this.#nowMs;
  #running = 0;
  #seed = 1;
  #covered = 0;
  #coveredAtMs: number | undefined;
  #renewed = 0;
  #late = 0;
  #leastLeft = 1;
  #wildcardMissedMs = 0;
  #revoked: { atMs: number; left: Set<string>; doneMs?: number } | undefined;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#authorities = scenario.limits.map((limits, number) => ({
      name: `ca${number}`,
      directoryUrl: '',
      roots: undefined,
      contact: [],
      binding: undefined,
      profile: undefined,
      limits: scenario.told?.[number] ?? limits,
      real: new LimitingAuthority(limits),
    }));
    this.#standings = scenario.limits.map(() => ({ pausedUntilMs: 0, troubles: 0, reason: '' }));
  }

  run(): Outcome {
    const { pods, days, otherHosts, revokedOnDay, untilCovered } = this.#scenario;
    for (let number = 0; number < pods; number += 1)
      this.#add(`pod/default/${number}`, [`${number}.pods.example.org`], this.#startMs);
    // Last, which is the worst that can happen to it.
    this.#add('wildcard', ['*.pods.example.org', 'pods.example.org'], null);
    if (otherHosts)
      this.#events.add(this.#startMs + otherHosts.day * dayMs, { kind: 'otherHosts' });
    if (revokedOnDay !== undefined)
      this.#events.add(this.#startMs + revokedOnDay * dayMs, { kind: 'revoked' });
    const endMs = this.#startMs + days * dayMs;
    for (let next = this.#events.take(); next; next = this.#events.take()) {
      if (next.atMs > endMs || (untilCovered && this.#coveredAtMs !== undefined)) break;
      this.#nowMs = next.atMs;
      this.#happen(next.what);
    }
    if (!untilCovered) this.#nowMs = endMs;
    return this.#outcome();
  }

  #outcome(): Outcome {
    for (const { certificate } of this.#holders.values())
      if (certificate && certificate.notAfterMs <= this.#nowMs) this.#late += 1;
    const revoked = this.#revoked;
    return {
      daysToCover:
        this.#coveredAtMs === undefined ? undefined : (this.#coveredAtMs - this.#startMs) / dayMs,
      covered: this.#covered,
      renewed: this.#renewed,
      late: this.#late,
      leastLeft: this.#leastLeft,
      wildcardMissingMs: this.#wildcardMissingMs(),
      refused: this.#authorities.reduce((sum, { real }) => sum + real.refused, 0),
      exempt: this.#authorities.reduce((sum, { real }) => sum + real.orders.exempt, 0),
      hoursToReplace: revoked?.doneMs && (revoked.doneMs - revoked.atMs) / hourMs,
    };
  }

  #add(id: string, hosts: readonly string[], createdAtMs: number | null): void {
    const wanted = { hosts, mode: 'hybrid', by: 'public', standIn: false, createdAtMs } as const;
    const state = newState('hybrid');
    const holder = { id, wanted, state, certificate: undefined, alarm: 0 };
    this.#holders.set(id, holder);
    this.#look(holder);
  }

  #happen({ kind, holder, alarm }: Event): void {
    if (kind === 'look' && holder?.alarm === alarm && holder) this.#look(holder);
    if (kind === 'issued' && holder) this.#issued(holder);
    if (kind === 'otherHosts') this.#otherHosts();
    if (kind === 'revoked') this.#revoke();
    if (kind === 'dispatch') this.#dispatch();
  }

  #assess({ wanted, certificate, state }: Holder): Assessment {
    const found = assess({
      wanted,
      certificate,
      state,
      fromPublic: certificate !== undefined,
      keyOpens: true,
      rotation: 0,
      inUse: false,
      nowMs: this.#nowMs,
    });
    return this.#scenario.planted?.(found) ?? found;
  }

  /** As `OrderDesk.consider`. */
  #look(holder: Holder): void {
    const found = this.#assess(holder);
    if (found.kind === 'rest') {
      this.#waiting.remove(holder.id);
      return this.#alarm(holder, found.untilMs);
    }
    if (found.kind === 'ask') return this.#ask(holder);
    this.#waiting.put(holder.id, found.need, 'default');
    // New ones are idle after a day: that look is enough.
    if (found.need.priority === priorities.newPod) this.#alarm(holder, this.#nowMs + dayMs);
    this.#dispatch();
  }

  #alarm(holder: Holder, atMs: number): void {
    if (atMs === Infinity) return;
    holder.alarm += 1;
    this.#events.add(Math.max(atMs, this.#nowMs), { kind: 'look', holder, alarm: holder.alarm });
  }

  /** Once, where the program asks twice a day: the windows here move on one day only. */
  #ask(holder: Holder): void {
    holder.state = { ...holder.state, renewal: this.#told(holder, 0) };
    this.#look(holder);
  }

  #told({ certificate, state }: Holder, movedMs: number): Renewal | null {
    if (!certificate) return state.renewal;
    const start = new Date(windowMs(certificate) - movedMs);
    const end = new Date(start.getTime() + this.#scenario.lifeMs / 45);
    const data = { suggestedWindow: { start: start.toISOString(), end: end.toISOString() } };
    const facts = { before: state.renewal, nowMs: this.#nowMs, fraction: this.#fraction() };
    const renewal = renewalFrom({ status: 200, headers: {}, data }, facts);
    return { ...renewal, askAgainAtMs: null };
  }

  /** As `OrderDesk` and `Orders.take`. */
  #dispatch(): void {
    while (this.#running < concurrentMax) {
      const holder = this.#holders.get(this.#waiting.take(this.#nowMs) ?? '');
      if (!holder) return;
      const found = this.#assess(holder);
      if (found.kind !== 'order') {
        this.#look(holder);
        continue;
      }
      const urgent = found.need.priority === priorities.urgent;
      const wait = this.#begin(holder, urgent);
      if (!wait) continue;
      if (wait.alone) this.#alarm(holder, wait.untilMs);
      else {
        this.#waiting.hold(found.need, wait.untilMs);
        this.#waiting.putBack(holder.id, found.need, 'default');
        this.#events.add(wait.untilMs, { kind: 'dispatch' });
      }
    }
  }

  #begin(holder: Holder, urgent: boolean): { untilMs: number; alone: boolean } | undefined {
    const { wanted, state, certificate } = holder;
    const asking = { wanted, state, certificate, urgent };
    let [untilMs, alone] = [Infinity, false];
    for (const { name } of candidates({ real: this.#authorities, staging: undefined }, state)) {
      const index = this.#authorities.findIndex((each) => each.name === name);
      const authority = this.#authorities[index];
      const standing = this.#standings[index];
      if (!authority || !standing) continue;
      const { charge, replaces } = termsOf(asking, authority, this.#nowMs);
      let waits = waitOfHosts(asking, authority, charge, this.#nowMs);
      if (!waits) {
        const answer = admitted(standing, authority, charge, this.#nowMs);
        this.#standings[index] = answer.standing;
        waits = answer.result;
      }
      if (waits) {
        untilMs = Math.min(untilMs, waits.untilMs);
        alone ||= waits.alone;
        continue;
      }
      this.#order(holder, authority, replaces);
      return undefined;
    }
    return { untilMs, alone };
  }

  #order(
    holder: Holder,
    { name, real }: { name: string; real: LimitingAuthority },
    replaces: string | null,
  ): void {
    const hosts = [...holder.wanted.hosts];
    holder.state = begunState(holder, {
      ca: name,
      hosts,
      profile: null,
      replaces,
      startedAtMs: this.#nowMs,
      url: null,
      key: null,
      csr: null,
      certificateUrl: null,
    });
    real.order(hosts.join(), replaces, this.#nowMs);
    this.#running += 1;
    this.#events.add(this.#nowMs + orderMs, { kind: 'issued', holder });
  }

  #issued(holder: Holder): void {
    this.#running -= 1;
    const { state, certificate: before } = holder;
    const authority = this.#authorities.find(({ name }) => name === state.order?.ca);
    if (!authority || !state.order) return;
    const { hosts } = state.order;
    // Public authorities date back by an hour.
    const notBeforeMs = this.#nowMs - hourMs;
    const notAfterMs = notBeforeMs + this.#scenario.lifeMs;
    const replaces = this.#scenario.windows
      ? authority.real.make(hosts.join(), windowMs({ notBeforeMs, notAfterMs }))
      : null;
    const active = activated(state, {
      authority,
      hosts,
      issued: { notBeforeMs, notAfterMs, chain: '', key: sealed },
      replaces,
      rotation: 0,
      nowMs: this.#nowMs,
      fraction: this.#fraction(),
    });
    holder.state = active.state;
    holder.certificate = active.certificate;
    this.#note(holder, before);
    this.#look(holder);
    this.#dispatch();
  }

  /** What is true of the times before this certificate. */
  #note(holder: Holder, before: Certificate | undefined): void {
    if (before) {
      this.#renewed += 1;
      const leftMs = before.notAfterMs - this.#nowMs;
      if (before.hosts.join() === holder.wanted.hosts.join()) {
        this.#leastLeft = Math.min(this.#leastLeft, leftMs / this.#scenario.lifeMs);
        if (leftMs <= 0) this.#late += 1;
      }
    } else if (holder.id !== 'wildcard') {
      this.#covered += 1;
      if (this.#covered === this.#scenario.pods) this.#coveredAtMs = this.#nowMs;
    }
    if (holder.id === 'wildcard')
      this.#wildcardMissedMs += Math.max(0, this.#nowMs - (before?.notAfterMs ?? this.#startMs));
    const revoked = this.#revoked;
    if (revoked?.left.delete(holder.id) && revoked.left.size === 0) revoked.doneMs = this.#nowMs;
  }

  /** Our own authority's stands in before the first. */
  #wildcardMissingMs(): number {
    const validUntilMs = this.#holders.get('wildcard')?.certificate?.notAfterMs ?? this.#startMs;
    return this.#wildcardMissedMs + Math.max(0, this.#nowMs - validUntilMs);
  }

  #otherHosts(): void {
    let left = this.#scenario.otherHosts?.pods ?? 0;
    for (const holder of this.#holders.values()) {
      if (holder.id === 'wildcard' || left <= 0) continue;
      left -= 1;
      const hosts = [`db-${holder.wanted.hosts[0]}`, ...holder.wanted.hosts];
      holder.wanted = { ...holder.wanted, hosts };
      this.#look(holder);
    }
  }

  #revoke(): void {
    this.#revoked = { atMs: this.#nowMs, left: new Set(this.#holders.keys()) };
    for (const holder of this.#holders.values()) {
      holder.state = { ...holder.state, renewal: this.#told(holder, 400 * dayMs) };
      this.#look(holder);
    }
  }

  /** The same in each run (mulberry32). */
  #fraction(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
}

const sealed = { keyId: '', nonce: '', data: '' } as unknown as Certificate['key'];

/** Two thirds into the life, or half of one that is short: where Let's Encrypt's windows begin. */
function windowMs({
  notBeforeMs,
  notAfterMs,
}: {
  notBeforeMs: number;
  notAfterMs: number;
}): number {
  const lifeMs = notAfterMs - notBeforeMs;
  return notBeforeMs + lifeMs * (lifeMs < 10 * dayMs ? 1 / 2 : 2 / 3);
}
