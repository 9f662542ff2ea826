import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type {
  NetworkTraffic,
  PodTraffic,
  TrafficExchange,
  TrafficReader,
} from '#contracts/traffic.ts';
import { addedTraffic, TrafficUnavailable } from '#contracts/traffic.ts';
import { MemoryTrafficExchange } from '../memory/traffic-exchange.ts';
import { AskAll } from './ask-all.ts';
import type { Line } from './line.ts';
import { WhileWanted } from './while-wanted.ts';

/** Gateways answer from memory. */
const waitMs = 1_000;

const zCount = z.number().min(0);
const zNetwork = z.object({
  requests: zCount,
  statuses: z.tuple([zCount, zCount, zCount, zCount, zCount]),
  bytesIn: zCount,
  bytesOut: zCount,
  open: zCount,
  lastActivityMs: z.number().nullable(),
  latencyCounts: z.array(zCount),
});
const zTraffic = z.object({ sinceMs: z.number(), networks: z.record(z.string(), zNetwork) });

/** Traffic of a pod over all gateways, each asked for its own. */
export class NatsTrafficExchange implements TrafficExchange {
  readonly #all: AskAll;
  /** Those who serve in this process: one gateway, and another for a moment. */
  readonly #own = new MemoryTrafficExchange();
  readonly #answering = new WhileWanted(() => this.#all.serve((key) => this.#answer(key)));

  constructor(line: Line, clock: Clock) {
    this.#all = new AskAll({ line, clock, subject: 'podgate.traffic' });
  }

  serve(reader: TrafficReader): () => void {
    const end = this.#own.serve(reader);
    const unwant = this.#answering.want();
    return () => {
      unwant();
      end();
    };
  }

  async read(key: string): Promise<PodTraffic> {
    const answers = await this.#all.ask(key, { waitMs, othersOnly: false });
    const [error] = answers.errors;
    if (error !== undefined) throw new Error(error);
    if (answers.missing > 0)
      throw new TrafficUnavailable(`${answers.missing} gateways do not answer`);
    const [first, ...others] = answers.values.map((value) => zTraffic.parse(value));
    if (!first) throw new TrafficUnavailable('no gateway tells of its traffic');
    const sinceMs = Math.min(first.sinceMs, ...others.map((other) => other.sinceMs));
    const networks = new Map<string, NetworkTraffic>(Object.entries(first.networks));
    for (const [network, traffic] of others.flatMap((other) => Object.entries(other.networks))) {
      const sum = networks.get(network);
      networks.set(network, sum ? addedTraffic(sum, traffic) : traffic);
    }
    return { sinceMs, networks };
  }

  async #answer(key: unknown): Promise<z.input<typeof zTraffic>> {
    const { sinceMs, networks } = await this.#own.read(z.string().parse(key));
    const entries = Array.from(networks, ([name, traffic]) => {
      const { statuses, latencyCounts, ...counts } = traffic;
      return [name, { ...counts, statuses: [...statuses], latencyCounts: [...latencyCounts] }];
    });
    return { sinceMs, networks: Object.fromEntries(entries) };
  }
}
