import type { PodTraffic, TrafficExchange, TrafficReader } from '#contracts/traffic.ts';
import { TrafficUnavailable } from '#contracts/traffic.ts';
import { Newest } from './newest.ts';

/** Hands questions for traffic to the gateway of this process: whoever came last. */
export class MemoryTrafficExchange implements TrafficExchange {
  readonly #serving = new Newest<TrafficReader>();

  serve(reader: TrafficReader): () => void {
    return this.#serving.add(reader);
  }

  async read(key: string): Promise<PodTraffic> {
    const newest = this.#serving.current;
    if (!newest) throw new TrafficUnavailable('no gateway tells of its traffic');
    return newest.read(key);
  }
}
