import type { CertificateState } from '#contracts/certificate-state.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import { challenges } from '#contracts/challenge.ts';
import { FencedOff, WriteConflict } from '#contracts/store.ts';
import type { TrafficReader } from '#contracts/traffic.ts';
import type { Wanted } from '../wanted.ts';
import { ownerOf, podPrefix } from '../wanted.ts';
import type { Facts, Need } from './assess.ts';
import { assess, priorities } from './assess.ts';
import { askedRotation, keyOpens, newState, storedCertificate, storedState } from './records.ts';
import type { Hold, Slots } from './slots.ts';
import type { Orders, TurnPorts } from './turn.ts';
import { Usage } from './usage.ts';
import { Waiting } from './waiting.ts';

export const concurrentMax = 16; // orders under way: each waits for the authority nearly all its time
const busyMs = 300; // another replica works on it
const againMs = 30_000; // after a fault of ours
const restMostMs = 24 * 60 * 60 * 1000;
const waitingLookMs = 60 * 60 * 1000;
const placesMax = 200; // written a minute: 100,000 waiting must not cost 100,000 writes

/** A question costs no more than an answer. */
const asking: Need = { priority: priorities.urgent, counted: false };

export interface DeskPorts extends TurnPorts {
  /** Whether clients come to a pod; undefined: nobody knows. */
  readonly traffic: TrafficReader | undefined;
}

interface DeskTerms {
  readonly wanted: (id: string) => Promise<Wanted | undefined>;
  readonly orders: Orders;
  readonly slots: Slots;
  readonly signal: AbortSignal;
}

/** Where certificates wait for their orders, and are served in the order of their need. */
export class OrderDesk {
  readonly #ports: DeskPorts;
  readonly #terms: DeskTerms;
  readonly #usage: Usage;
  readonly #waiting = new Waiting();
  readonly #alarms = new Map<string, () => void>();
  readonly #running = new Map<string, Promise<void>>();
  /** To be looked at when what is under way has ended. */
  readonly #missed = new Set<string>();
  /** What the states say of places. */
  readonly #told = new Map<string, number>();

  constructor(ports: DeskPorts, terms: DeskTerms) {
    this.#ports = ports;
    this.#terms = terms;
    this.#usage = new Usage(ports);
  }

  get counts(): { readonly waiting: number; readonly underWay: number } {
    return { waiting: this.#waiting.size, underWay: this.#running.size };
  }

  /** Looks at a certificate now, and again by itself when it needs something. */
  async consider(id: string): Promise<void> {
    if (this.#running.has(id)) return void this.#missed.add(id);
    this.#alarms.get(id)?.();
    this.#alarms.delete(id);
    const facts = await this.#facts(id);
    // Its turn came while we looked.
    if (this.#running.has(id)) return void this.#missed.add(id);
    const found = facts && assess(facts);
    if (!found || found.kind === 'rest') {
      this.#waiting.remove(id);
      this.#told.delete(id);
      return found && this.#alarm(id, found.untilMs);
    }
    const need = found.kind === 'ask' ? asking : found.need;
    this.#waiting.put(id, need, ownerOf(id));
    // A pod that is idle may come into use, and one that is not may become so.
    if (need.priority > priorities.renewal)
      this.#alarm(id, this.#ports.clock.nowMs() + waitingLookMs);
    this.#dispatch();
  }

  /** Serves until the signal aborts; resolves when nothing is under way. */
  async serve(): Promise<void> {
    const { signal } = this.#terms;
    const { clock, log } = this.#ports;
    while (!signal.aborted) {
      try {
        await this.#tellPlaces();
        await this.#sweep();
      } catch (error) {
        log.warn({ error: String(error) }, 'the queue could not be told');
      }
      await clock.sleep(60_000, signal).catch(() => undefined);
      this.#dispatch();
    }
    for (const cancel of this.#alarms.values()) cancel();
    await Promise.all(this.#running.values());
  }

  #alarm(id: string, atMs: number): void {
    const { clock, log } = this.#ports;
    const delayMs = Math.min(Math.max(atMs - clock.nowMs(), 0), restMostMs);
    this.#alarms.get(id)?.();
    const cancel = clock.after(delayMs, () => {
      this.#alarms.delete(id);
      if (this.#terms.signal.aborted) return;
      this.consider(id).catch((error: unknown) => {
        log.error({ certificate: id, error: String(error) }, 'certificate failed');
        this.#alarm(id, clock.nowMs() + againMs);
      });
    });
    this.#alarms.set(id, cancel);
  }

  #dispatch(): void {
    while (!this.#terms.signal.aborted && this.#running.size < concurrentMax) {
      const id = this.#waiting.take(this.#ports.clock.nowMs());
      if (id === undefined) return;
      this.#alarms.get(id)?.();
      this.#alarms.delete(id);
      this.#told.delete(id);
      const turn = this.#turn(id).finally(() => {
        this.#running.delete(id);
        if (this.#missed.delete(id)) this.#alarm(id, this.#ports.clock.nowMs());
        this.#dispatch();
      });
      this.#running.set(id, turn);
    }
  }

  async #turn(id: string): Promise<void> {
    const { clock, log } = this.#ports;
    try {
      const hold = await this.#terms.slots.hold(id, this.#terms.signal);
      if (!hold) return this.#alarm(id, clock.nowMs() + busyMs);
      try {
        await this.#underHold(id, hold);
      } finally {
        await hold.release();
      }
    } catch (error) {
      if (this.#terms.signal.aborted) return;
      // Somebody else has it now; all others are faults of ours or of the store.
      if (!(error instanceof FencedOff))
        log.error({ certificate: id, error: String(error) }, 'certificate failed');
      this.#alarm(id, clock.nowMs() + againMs);
    }
  }

  /** Looks again: another replica may have done it while we waited. */
  async #underHold(id: string, hold: Hold): Promise<void> {
    const { clock } = this.#ports;
    const facts = await this.#facts(id);
    if (!facts) return;
    const found = assess(facts);
    const { wanted, certificate, rotation } = facts;
    const state = facts.state ?? newState(wanted.mode);
    const terms = { id, wanted, certificate, rotation, state, hold };
    if (found.kind === 'rest') return this.#alarm(id, found.untilMs);
    if (found.kind === 'ask') {
      await this.#terms.orders.renewals.ask(terms);
      return this.#alarm(id, clock.nowMs());
    }
    const { reason, need } = found;
    const urgent = need.priority === priorities.urgent;
    const end = await this.#terms.orders.take({ ...terms, urgent, reason });
    if (end.kind !== 'held') return this.#alarm(id, clock.nowMs());
    await this.#held(id, { state, need, untilMs: end.untilMs });
  }

  async #held(
    id: string,
    { state, need, untilMs }: { state: CertificateState; need: Need; untilMs: number },
  ): Promise<void> {
    const { clock, store } = this.#ports;
    this.#waiting.hold(need, untilMs);
    this.#waiting.putBack(id, need, ownerOf(id));
    const cancel = clock.after(Math.min(untilMs - clock.nowMs(), restMostMs), () => {
      this.#dispatch();
    });
    this.#terms.signal.addEventListener('abort', cancel, { once: true });
    if (state.phase === 'queued') return;
    const stored = await storedState(store, id);
    const expect = stored ? { version: stored.version } : 'absent';
    const queued = { ...state, phase: state.order ? state.phase : ('queued' as const) };
    await certificateStates(store).put(id, queued, expect);
  }

  async #facts(id: string): Promise<(Facts & { wanted: Wanted }) | undefined> {
    const { store, sealer, clock } = this.#ports;
    const wanted = await this.#terms.wanted(id);
    if (!wanted || wanted.by !== 'public' || wanted.hosts.length === 0) return undefined;
    const found = await storedCertificate(store, id);
    const certificate = typeof found === 'object' ? found : undefined;
    return {
      wanted,
      certificate,
      fromPublic:
        certificate !== undefined && this.#terms.orders.names.includes(certificate.issuer),
      keyOpens: certificate !== undefined && keyOpens(sealer, id, certificate),
      state: (await storedState(store, id))?.value,
      rotation: await askedRotation(store, id),
      inUse:
        certificate === undefined &&
        id.startsWith(podPrefix) &&
        (await this.#usage.inUse(id.slice(podPrefix.length))),
      nowMs: clock.nowMs(),
    };
  }

  /** Writes to each that waits about where it stands, where that has changed by a tenth. */
  async #tellPlaces(): Promise<void> {
    const { store } = this.#ports;
    let written = 0;
    for (const [id, place] of this.#waiting.places()) {
      if (written >= placesMax || this.#terms.signal.aborted) return;
      const told = this.#told.get(id) ?? 0;
      if (Math.abs(told - place) * 10 <= Math.min(told, place)) continue;
      const stored = await storedState(store, id);
      if (!stored) continue;
      this.#told.set(id, place);
      const changed = { ...stored.value, queuePlace: place };
      written += 1;
      try {
        await certificateStates(store).put(id, changed, { version: stored.version });
      } catch (error) {
        if (!(error instanceof WriteConflict)) throw error;
      }
    }
  }

  /** Answers to challenges that nobody took away: of programs that were killed. */
  async #sweep(): Promise<void> {
    const { store, clock } = this.#ports;
    const { documents } = await challenges(store).list();
    for (const { id, value, version } of documents) {
      if (value.expiresAtMs > clock.nowMs()) continue;
      await challenges(store)
        .remove(id, { version })
        .catch((error: unknown) => {
          if (!(error instanceof WriteConflict)) throw error;
        });
    }
  }
}
