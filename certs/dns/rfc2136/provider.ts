import * as packet from 'dns-packet';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { DnsProvider } from '../provider.ts';
import { DnsRefused, DnsUnavailable } from '../provider.ts';
import type { DnsServer } from './exchange.ts';
import { exchange } from './exchange.ts';
import type { TsigKey } from './tsig.ts';
import { BadSignature, sign, verify } from './tsig.ts';
import type { TxtChange } from './update.ts';
import { updateMessage } from './update.ts';

export interface Rfc2136Settings {
  /** The primary server, which takes updates. */
  readonly server: DnsServer;
  /** What is asked whether a record is there: all authoritative servers. */
  readonly authoritative: readonly DnsServer[];
  /** Without a trailing dot. */
  readonly zone: string;
  readonly key: TsigKey;
}

interface Rfc2136Ports {
  readonly clock: Clock;
  readonly random: Random;
}

const ttlSeconds = 60; // an authority that looks again sees the new value soon
const firstWaitMs = 250;
const waitMsMax = 10_000;

/**
 * DNS by UPDATE messages (RFC 2136), signed with TSIG (RFC 8945), over TCP. A server that does not
 * answer, or fails, is asked again, later each time, until the signal aborts.
 */
export class Rfc2136 implements DnsProvider {
  readonly #settings: Rfc2136Settings;
  readonly #ports: Rfc2136Ports;

  constructor(settings: Rfc2136Settings, ports: Rfc2136Ports) {
    this.#settings = settings;
    this.#ports = ports;
  }

  async present(name: string, value: string, signal: AbortSignal): Promise<void> {
    await this.#change('add', name, value, signal);
    await Promise.all(
      this.#settings.authoritative.map((server) =>
        this.#untilDone(signal, async () => {
          if (await this.#shows(server, { name, value }, signal)) return;
          throw new DnsUnavailable(`${server.host}:${server.port} does not show ${name} yet`);
        }),
      ),
    );
  }

  async cleanup(name: string, value: string, signal: AbortSignal): Promise<void> {
    await this.#change('remove', name, value, signal);
  }

  async #change(
    kind: TxtChange['kind'],
    name: string,
    value: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { zone } = this.#settings;
    if (!`.${name}`.endsWith(`.${zone}`)) throw new DnsRefused(`${name} is not in ${zone}`);
    const change = { zone, name, value, kind, ttlSeconds };
    await this.#untilDone(signal, () => this.#update(change, signal));
  }

  async #update(change: TxtChange, signal: AbortSignal): Promise<void> {
    const { server, key, zone } = this.#settings;
    const id = this.#ports.random.bytes(2).readUInt16BE();
    const { message, mac } = sign(updateMessage(id, change), key, this.#ports.clock.nowMs());
    const answer = await exchange(message, server, signal);
    if (answer.length < 12 || answer.readUInt16BE(0) !== id) {
      throw new DnsUnavailable(`${server.host}:${server.port} answered something else`);
    }
    const code = answer.readUInt8(3) & 0x0f;
    const said = `${server.host}:${server.port} says ${codes[code] ?? code} to a change in ${zone}`;
    try {
      verify(answer, key, mac);
    } catch (cause) {
      // Before the key counts, whoever sits between may say anything; of a refusal we lose nothing.
      if (!(cause instanceof BadSignature))
        throw new DnsUnavailable('a malformed answer', { cause });
      // A server that fails early does not get to signing; whoever forges this has us ask again.
      if (code === serverFailed && cause.unsigned) throw new DnsUnavailable(said, { cause });
      throw new DnsRefused(`${server.host}:${server.port}: ${cause.message}`, { cause });
    }
    if (code === serverFailed) throw new DnsUnavailable(said);
    if (code !== 0) throw new DnsRefused(said);
  }

  async #shows(
    server: DnsServer,
    { name, value }: { readonly name: string; readonly value: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const id = this.#ports.random.bytes(2).readUInt16BE();
    const questions = [{ type: 'TXT' as const, name }];
    const answer = packet.decode(
      await exchange(packet.encode({ type: 'query', id, questions }), server, signal),
    );
    return (answer.answers ?? []).some(
      (record) => record.type === 'TXT' && textOf(record.data) === value,
    );
  }

  /** Once more after each failure that another try may mend; the last one is thrown at the end. */
  async #untilDone(signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
    const { clock, random } = this.#ports;
    let waitMs = firstWaitMs;
    let last: unknown;
    while (!signal.aborted) {
      try {
        await attempt();
        return;
      } catch (error) {
        if (error instanceof DnsRefused) throw error;
        last = error instanceof DnsUnavailable ? error : (last ?? error);
      }
      await clock.sleep(waitMs * (0.5 + random.fraction()), signal).catch(() => undefined);
      waitMs = Math.min(waitMs * 2, waitMsMax);
    }
    if (last instanceof DnsUnavailable) throw last;
    throw new DnsUnavailable('not done in time', { cause: last });
  }
}

const serverFailed = 2;

/** RFC 1035, 4.1.1 and RFC 2136, 2.2. */
const codes: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP',
  5: 'REFUSED',
  8: 'NXRRSET',
  9: 'NOTAUTH (it does not know the key, or the zone)',
  10: 'NOTZONE',
};

const textOf = (data: packet.TxtData): string =>
  Array.isArray(data) ? data.map(String).join('') : String(data);
