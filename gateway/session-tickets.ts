import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { SessionTicketKey } from './ticket-key.ts';
import { parseSessionTicketKey, ticketKeyId } from './ticket-key.ts';
import type { Collection, Expectation } from '#contracts/store.ts';
import { WriteConflict } from '#contracts/store.ts';

export interface SessionTicketPorts {
  readonly tickets: Pick<Collection<SessionTicketKey>, 'get' | 'put' | 'watch'>;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Handshakes shall go by another master from now on. */
  changed(master: Buffer): void;
}

const masterBytes = 32;
/** Twelve hours: what a stolen master opens is bounded, and a client meets at most two changes a day. */
export const ticketEpochMs = 12 * 60 * 60 * 1000;
const lookMs = 60_000; // whether it is time for another
const startWaitMs = 1_000; // for the store, before the gateway serves

/**
 * The master of session tickets, which all gateways share through the store and replace every
 * `ticketEpochMs`. It lies on disk as well, sealed, so that a gateway that starts while the store is
 * away resumes the sessions of before.
 */
export class SessionTickets {
  readonly #file: string;
  readonly #ports: SessionTicketPorts;
  #master: Buffer;
  #sealed = '';

  constructor(file: string, ports: SessionTicketPorts) {
    this.#file = file;
    this.#ports = ports;
    this.#master = ports.random.bytes(masterBytes);
  }

  get master(): Buffer {
    return this.#master;
  }

  /** The store's master, or that of the last run when the store does not say it soon. */
  async start(): Promise<void> {
    await this.#load();
    const late = Promise.withResolvers<void>();
    const cancel = this.#ports.clock.after(startWaitMs, late.resolve);
    const looked = this.#look().catch((error: unknown) => {
      this.#ports.log.warn({ error: String(error) }, 'session tickets: the store did not answer');
    });
    await Promise.race([looked, late.promise]);
    cancel();
  }

  /** Takes over what other gateways write, and writes when it is time, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const { tickets, clock } = this.#ports;
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const changes = tickets.watch(either);
    const ticks = async (): Promise<void> => {
      while (!either.aborted) {
        await this.#look();
        await clock.sleep(lookMs, either).catch(() => undefined);
      }
    };
    const news = async (): Promise<void> => {
      for await (const { id } of changes) if (id === ticketKeyId) await this.#look();
    };
    try {
      await Promise.race([ticks(), news()]);
    } finally {
      failed.abort();
    }
  }

  async #look(): Promise<void> {
    const stored = await this.#ports.tickets.get(ticketKeyId);
    const nowMs = this.#ports.clock.nowMs();
    if (stored && nowMs - stored.value.sinceMs < ticketEpochMs) await this.#take(stored.value);
    else await this.#replace(stored ? { version: stored.version } : 'absent');
  }

  async #replace(expect: Expectation): Promise<void> {
    const { tickets, sealer, random, clock } = this.#ports;
    const text = random.bytes(masterBytes).toString('base64url');
    const next = { master: sealer.seal(text, ticketKeyId), sinceMs: clock.nowMs() };
    try {
      await tickets.put(ticketKeyId, next, expect);
      await this.#take(next);
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
      // Another gateway was faster: its master is the one.
      const stored = await tickets.get(ticketKeyId);
      if (stored) await this.#take(stored.value);
    }
  }

  async #take(key: SessionTicketKey): Promise<void> {
    if (key.master === this.#sealed) return;
    this.#use(key);
    try {
      await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
      await writeFile(`${this.#file}.next`, JSON.stringify(key), { mode: 0o600 });
      await rename(`${this.#file}.next`, this.#file);
    } catch (error) {
      this.#ports.log.warn({ error: String(error) }, 'session tickets: not kept on disk');
    }
  }

  #use(key: SessionTicketKey): void {
    this.#master = Buffer.from(this.#ports.sealer.open(key.master, ticketKeyId), 'base64url');
    this.#sealed = key.master;
    this.#ports.changed(this.#master);
  }

  /** Whatever is wrong with the file costs its clients a full handshake, and no more. */
  async #load(): Promise<void> {
    try {
      this.#use(parseSessionTicketKey(JSON.parse(await readFile(this.#file, 'utf8'))));
    } catch {
      // There is none, or none that opens: the one made at random serves until the store is read.
    }
  }
}
