import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type {
  Begun,
  GatewayAck,
  Route,
  RouteBus,
  RouteEvent,
  TableDigest,
} from '#contracts/route.ts';
import { AckBook, AckSender } from './gateway-acks.ts';
import type { NatsLink } from './link.ts';
import type { BeatMessage } from './route-follower.ts';
import { beatSubject, followBucket } from './route-follower.ts';
import { RouteWriter } from './route-writer.ts';

/**
 * Routes in a JetStream key-value bucket, one key per host; beats and acknowledgements, which may be
 * lost, over plain subjects. A revision is a sequence of the bucket's stream.
 */
export class NatsRouteBus implements RouteBus {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #writer: RouteWriter;
  readonly #sender: AckSender;
  readonly #book: AckBook;

  constructor(link: NatsLink, ports: { readonly clock: Clock; readonly random: Random }) {
    const { clock } = ports;
    this.#link = link;
    this.#clock = clock;
    this.#writer = new RouteWriter(link, ports);
    this.#sender = new AckSender(link, clock);
    this.#book = new AckBook(link, clock, () => this.#writer.epoch);
  }

  async begin(
    token: number,
    routes: readonly Route[],
    kept: ReadonlySet<string> = new Set(),
  ): Promise<Begun> {
    await this.#book.listen();
    return this.#writer.begin(token, routes, kept);
  }

  async put(token: number, route: Route): Promise<number> {
    return this.#writer.put(token, route);
  }

  async drop(token: number, host: string): Promise<number> {
    return this.#writer.drop(token, host);
  }

  async beat(token: number, digest: TableDigest): Promise<void> {
    await this.#writer.check(token);
    const epoch = this.#writer.epoch ?? '';
    const beat: BeatMessage = { token, epoch, ...digest };
    this.#link.connection?.publish(beatSubject, JSON.stringify(beat));
  }

  onAcks(changed: () => void): () => void {
    void this.#book.listen().catch(() => undefined);
    return this.#book.onChange(changed);
  }

  acks(): readonly GatewayAck[] {
    return this.#book.acks();
  }

  follow(gateway: string, signal: AbortSignal): AsyncIterable<RouteEvent> {
    const leave = this.#sender.join(gateway);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    return untilLeft(followBucket({ link: this.#link, clock: this.#clock }, signal), leave);
  }

  acknowledge(ack: GatewayAck): void {
    this.#sender.acknowledge(ack);
  }
}

async function* untilLeft(
  events: AsyncGenerator<RouteEvent>,
  leave: () => void,
): AsyncGenerator<RouteEvent> {
  try {
    yield* events;
  } finally {
    leave();
  }
}
