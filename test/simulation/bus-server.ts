import type {
  Begun,
  GatewayAck,
  Route,
  RouteBus,
  RouteEvent,
  TableDigest,
} from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';
import type { Timeline } from './timeline.ts';
import type { Witness } from './witness.ts';
import { addressOf, gistOf } from './witness.ts';

/** A gateway that said nothing for this long is taken for gone. */
const silenceMsMax = 5_000;
const lookEveryMs = 1_000;

interface Session {
  readonly ended: AbortController;
  heardAtMs: number | undefined;
}

/** The bus between all programs, where every write takes its place in one order. */
export class BusServer {
  /** By host everything it ever was, in order. */
  readonly history = new Map<string, string[]>();
  readonly #bus: RouteBus;
  readonly #timeline: Timeline;
  readonly #witness: Witness;
  readonly #sessions = new Map<string, Session>();
  /** By host and address, when the route there was taken away. */
  readonly #withdrawnAtMs = new Map<string, number>();
  readonly #ready = new Map<string, string>();
  #token = 0;

  constructor(bus: RouteBus, timeline: Timeline, witness: Witness) {
    this.#bus = bus;
    this.#timeline = timeline;
    this.#witness = witness;
    void this.#record(new AbortController().signal);
    const look = (): void => {
      this.#forgetSilent();
      timeline.after(lookEveryMs, look);
    };
    timeline.after(lookEveryMs, look);
  }

  async begin(token: number, routes: readonly Route[], kept?: ReadonlySet<string>): Promise<Begun> {
    const begun = await this.#bus.begin(token, routes, kept);
    this.#wrote(token, 'begin');
    return begun;
  }

  async put(token: number, route: Route): Promise<number> {
    const revision = await this.#bus.put(token, route);
    this.#wrote(token, `${route.host} ${gistOf(route)}`);
    return revision;
  }

  async drop(token: number, host: string): Promise<number> {
    const revision = await this.#bus.drop(token, host);
    this.#wrote(token, `${host} none`);
    return revision;
  }

  beat(token: number, digest: TableDigest): Promise<void> {
    return this.#bus.beat(token, digest);
  }

  onAcks(changed: () => void): () => void {
    return this.#bus.onAcks(changed);
  }

  acks(): readonly GatewayAck[] {
    return this.#bus.acks();
  }

  /** Until the gateway leaves, or is taken for gone. */
  follow(gateway: string, ended: AbortSignal): AsyncIterable<RouteEvent> {
    const session: Session = { ended: new AbortController(), heardAtMs: undefined };
    this.#sessions.set(gateway, session);
    return this.#bus.follow(gateway, AbortSignal.any([ended, session.ended.signal]));
  }

  acknowledge(ack: GatewayAck): void {
    const session = this.#sessions.get(ack.gateway);
    if (!session) return;
    session.heardAtMs = this.#timeline.elapsedMs;
    this.#bus.acknowledge(ack);
  }

  /** For how long no route has led there; undefined: one does. */
  withdrawnForMs(host: string, address: string): number | undefined {
    if (this.#ready.get(host) === address) return undefined;
    const atMs = this.#withdrawnAtMs.get(`${host} ${address}`) ?? -Infinity;
    return this.#timeline.elapsedMs - atMs;
  }

  #forgetSilent(): void {
    for (const [gateway, { ended, heardAtMs }] of this.#sessions) {
      if (heardAtMs === undefined) continue;
      if (this.#timeline.elapsedMs - heardAtMs < silenceMsMax) continue;
      this.#sessions.delete(gateway);
      this.#timeline.note(`${gateway} is taken for gone`);
      ended.abort();
    }
  }

  #wrote(token: number, what: string): void {
    this.#timeline.note(`bus ${token} ${what}`);
    if (token < this.#token) this.#witness.accuse('an older leader wrote', `to the bus: ${what}`);
    this.#token = Math.max(this.#token, token);
  }

  /** Reads along, before anybody else can. */
  async #record(signal: AbortSignal): Promise<void> {
    for await (const event of this.#bus.follow('history', signal)) {
      if (event.kind === 'put') this.#enter(event.host, zRoute.parse(event.route));
      if (event.kind === 'drop') this.#enter(event.host, undefined);
      if (event.kind !== 'snapshot') continue;
      for (const [host, { route }] of event.routes) this.#enter(host, zRoute.parse(route));
    }
  }

  #enter(host: string, route: Route | undefined): void {
    const past = this.history.get(host) ?? [gistOf(undefined)];
    past.push(gistOf(route));
    this.history.set(host, past);
    const before = this.#ready.get(host);
    const address = route?.upstream ? addressOf(route.upstream) : '';
    if (before && before !== address)
      this.#withdrawnAtMs.set(`${host} ${before}`, this.#timeline.elapsedMs);
    this.#ready.set(host, address);
  }
}
