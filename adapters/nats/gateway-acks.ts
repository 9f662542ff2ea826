import type { NatsConnection } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { GatewayAck } from '#contracts/route.ts';
import type { NatsLink } from './link.ts';
import { jsonOf } from './route-bucket.ts';

const ackSubject = 'podgate.routes.acks';
const wantedSubject = 'podgate.routes.acks.wanted';
/** A gateway says so often what it serves, whether that changed or not. */
const repeatMs = 1_000;
/** One that was silent for this long is gone, or cut off and serves on by itself. */
const silentMs = 4_500;
/** Acknowledgements of a burst of changes are one message. */
const batchMs = 20;

const zAck = z.object({
  gateway: z.string(),
  epoch: z.string(),
  revision: z.int(),
  leaves: z.boolean().optional(),
});
type Ack = z.infer<typeof zAck>;

/** A gateway's end: what the gateways of this process serve, said at once and again each second. */
export class AckSender {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  /** Followings per gateway; one that follows no more is not live. */
  readonly #follows = new Map<string, number>();
  readonly #acks = new Map<string, GatewayAck>();
  #cancel: (() => void) | undefined;
  #subscribed = false;

  constructor(link: NatsLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  /** Counts a following; the returned function ends it, once. */
  join(gateway: string): () => void {
    this.#follows.set(gateway, (this.#follows.get(gateway) ?? 0) + 1);
    this.#subscribe();
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const others = (this.#follows.get(gateway) ?? 1) - 1;
      if (others > 0) this.#follows.set(gateway, others);
      else this.#leave(gateway);
    };
  }

  acknowledge(ack: GatewayAck): void {
    if (!this.#follows.has(ack.gateway)) return;
    this.#acks.set(ack.gateway, ack);
    this.#again(batchMs);
  }

  #leave(gateway: string): void {
    this.#follows.delete(gateway);
    const last = this.#acks.get(gateway);
    this.#acks.delete(gateway);
    if (last) this.#say({ ...last, leaves: true });
  }

  /** Says all soon, and again for as long as there is a gateway. */
  #again(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#cancel = undefined;
      for (const ack of this.#acks.values()) this.#say(ack);
      if (this.#acks.size > 0) this.#again(repeatMs);
    });
  }

  #say(ack: Ack): void {
    const connection = this.#link.connection;
    // While it is away the words would only pile up.
    if (!connection || this.#link.problem() !== undefined) return;
    publish(connection, ackSubject, ack);
  }

  #subscribe(): void {
    if (this.#subscribed) return;
    this.#subscribed = true;
    const whenAsked = (connection: NatsConnection): void => {
      connection.subscribe(wantedSubject, { callback: () => this.#again(0) });
    };
    void this.#link.connected().then(whenAsked, () => undefined);
  }
}

/** The controller's end: which gateways are live, and what they serve. */
export class AckBook {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #epoch: () => string | undefined;
  readonly #acks = new Map<string, { readonly ack: GatewayAck; readonly cancel: () => void }>();
  readonly #listeners = new Set<() => void>();
  #heard: Promise<void> | undefined;

  /** `epoch`: of the table that acknowledgements are to be about. */
  constructor(link: NatsLink, clock: Clock, epoch: () => string | undefined) {
    this.#link = link;
    this.#clock = clock;
    this.#epoch = epoch;
  }

  /** Resolves when the gateways there are have had time to say what they serve. */
  listen(): Promise<void> {
    this.#heard ??= this.#listen();
    return this.#heard;
  }

  onChange(changed: () => void): () => void {
    const listener = (): void => changed();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  acks(): readonly GatewayAck[] {
    const epoch = this.#epoch();
    return [...this.#acks.values()].flatMap(({ ack }) => (ack.epoch === epoch ? [ack] : []));
  }

  async #listen(): Promise<void> {
    const connection = await this.#link.connected();
    connection.subscribe(ackSubject, {
      callback: (error, message) => {
        const ack = zAck.safeParse(error ? undefined : jsonOf(message.data));
        if (ack.success) this.#heed(ack.data);
      },
    });
    publish(connection, wantedSubject, {});
    await this.#clock.sleep(batchMs * 5);
  }

  #heed({ leaves, ...ack }: Ack): void {
    const { gateway } = ack;
    const before = this.#acks.get(gateway);
    before?.cancel();
    if (leaves) this.#forget(gateway);
    else {
      const cancel = this.#clock.after(silentMs, () => this.#forget(gateway));
      this.#acks.set(gateway, { ack, cancel });
      const same = before?.ack.epoch === ack.epoch && before.ack.revision === ack.revision;
      if (!same) this.#changed();
    }
  }

  #forget(gateway: string): void {
    if (this.#acks.delete(gateway)) this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

const publish = (connection: NatsConnection, subject: string, message: object): void => {
  if (!connection.isClosed()) connection.publish(subject, JSON.stringify(message));
};
