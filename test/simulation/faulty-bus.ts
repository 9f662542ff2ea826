import type {
  Begun,
  GatewayAck,
  Route,
  RouteBus,
  RouteEvent,
  TableDigest,
} from '#contracts/route.ts';
import { BusUnavailable } from '#contracts/route.ts';
import type { BusServer } from './bus-server.ts';
import type { Life } from './life.ts';
import type { Network } from './network.ts';
import type { Link } from './subscribed.ts';
import { subscribed } from './subscribed.ts';

const unavailable = (): Error => new BusUnavailable('the bus does not answer');
/** What gateways serve is told again and again, as messages get lost. */
const tellEveryMs = 1_000;
const allHosts = '*';

/** The bus as one life of a controller or a gateway has it over the network. */
export class FaultyBus implements RouteBus {
  readonly #server: BusServer;
  readonly #link: Link;
  readonly #listeners = new Set<() => void>();
  #acks: readonly GatewayAck[] = [];
  #acksNumber = 0;
  #acksSent = 0;
  #writesSent = 0;
  /** By host the newest write that arrived. */
  readonly #arrived = new Map<string, number>();
  #said: GatewayAck | undefined;

  constructor(server: BusServer, life: Life, network: Network) {
    this.#server = server;
    this.#link = { life, network, service: 'bus' };
  }

  begin(token: number, routes: readonly Route[], kept?: ReadonlySet<string>): Promise<Begun> {
    const inTime = this.#order(allHosts);
    return this.#ask(async () => inTime(() => this.#server.begin(token, routes, kept)));
  }

  put(token: number, route: Route): Promise<number> {
    const inTime = this.#order(route.host);
    return this.#ask(async () => inTime(() => this.#server.put(token, route)));
  }

  drop(token: number, host: string): Promise<number> {
    const inTime = this.#order(host);
    return this.#ask(async () => inTime(() => this.#server.drop(token, host)));
  }

  beat(token: number, digest: TableDigest): Promise<void> {
    return this.#ask(() => this.#server.beat(token, digest));
  }

  onAcks(changed: () => void): () => void {
    const listener = (): void => changed();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  acks(): readonly GatewayAck[] {
    return this.#acks;
  }

  follow(gateway: string, signal: AbortSignal): AsyncIterable<RouteEvent> {
    const source = (ended: AbortSignal): AsyncIterable<RouteEvent> =>
      this.#server.follow(gateway, ended);
    return subscribed({ source, failure: unavailable }, this.#link, signal);
  }

  acknowledge(ack: GatewayAck): void {
    this.#said = ack;
    this.#send(() => this.#server.acknowledge(ack));
  }

  /** Of a controller: hears what gateways serve. */
  hearAcks(): void {
    const { life } = this.#link;
    const tell = (): void => {
      const acks = this.#server.acks();
      const number = (this.#acksSent += 1);
      this.#send(() => life.enter(() => this.#heard(acks, number)));
    };
    life.onEnd(this.#server.onAcks(tell));
    this.#everySecond(tell);
  }

  /** Of a gateway: says again what it serves. */
  repeatAcks(): void {
    this.#everySecond(() => {
      const ack = this.#said;
      if (ack && this.#link.life.isRunning) this.#send(() => this.#server.acknowledge(ack));
    });
  }

  /**
   * A write that arrives after a later one of the same host is refused, as by the sequence that it
   * expects: the later one says what is.
   */
  #order(host: string): <Answer>(write: () => Answer) => Answer {
    const number = (this.#writesSent += 1);
    return (write) => {
      const newest =
        host === allHosts
          ? Math.max(0, ...this.#arrived.values())
          : Math.max(this.#arrived.get(host) ?? 0, this.#arrived.get(allHosts) ?? 0);
      if (number < newest) throw unavailable();
      this.#arrived.set(host, number);
      return write();
    };
  }

  #heard(acks: readonly GatewayAck[], number: number): void {
    if (number < this.#acksNumber) return;
    this.#acksNumber = number;
    this.#acks = acks;
    for (const listener of this.#listeners) listener();
  }

  #everySecond(run: () => void): void {
    const { life } = this.#link;
    const again = (): void => {
      run();
      life.clock.after(tellEveryMs, again);
    };
    life.clock.after(tellEveryMs, again);
  }

  #send(arrive: () => void): void {
    this.#link.network.send(this.#link.life, 'bus', arrive);
  }

  #ask<Answer>(perform: () => Promise<Answer>): Promise<Answer> {
    const { life, network } = this.#link;
    return network.call(life, 'bus', { perform, failure: unavailable });
  }
}
