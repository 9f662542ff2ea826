import type { Clock } from '#contracts/clock.ts';
import type { TrafficReader } from '#contracts/traffic.ts';

const inUseMs = 24 * 60 * 60 * 1000;
const freshMs = 60 * 60 * 1000; // thousands may wait: each is asked about once in this time
const pauseMs = 60_000; // gateways that do not answer would hold up each look by their time-out
const knownMost = 200_000; // twice the pods a site is made for, some 100 bytes each

interface Ports {
  readonly clock: Clock;
  /** Undefined: nobody knows. */
  readonly traffic: TrafficReader | undefined;
}

/** Whether clients come to pods, for the order of a queue: an answer may be an hour old. */
export class Usage {
  readonly #ports: Ports;
  readonly #known = new Map<string, { readonly inUse: boolean; readonly untilMs: number }>();
  #pausedUntilMs = 0;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /** By `podKey`: whether bytes went through within a day. False when no gateway answers. */
  async inUse(key: string): Promise<boolean> {
    const { traffic, clock } = this.#ports;
    const nowMs = clock.nowMs();
    const known = this.#known.get(key);
    if (known && known.untilMs > nowMs) return known.inUse;
    if (!traffic || this.#pausedUntilMs > nowMs) return false;
    try {
      const { networks } = await traffic.read(key);
      const inUse = [...networks.values()].some(
        ({ lastActivityMs }) => (lastActivityMs ?? 0) > nowMs - inUseMs,
      );
      if (this.#known.size >= knownMost) this.#known.clear();
      this.#known.set(key, { inUse, untilMs: nowMs + freshMs });
      return inUse;
    } catch {
      this.#pausedUntilMs = nowMs + pauseMs;
      return false;
    }
  }
}
