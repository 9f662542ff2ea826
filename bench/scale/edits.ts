import { desiredPods } from '#contracts/pod.ts';
import { systemClock } from '#adapters/system/clock.ts';
import type { ScaleCluster } from './cluster.ts';
import { hostOf, keyOf, pod } from './pods.ts';
import { WatchedPod } from './watched-pod.ts';

const perSecond = 100;
const watchedCount = 20;
/** Among so many pods edits go round; those that are watched are the first of them. */
const stride = 7_919; // prime: no size is a multiple of it

/** Edits of pods at a steady rate, whatever becomes of them, numbered over all calls. */
export class Edits {
  readonly #cluster: ScaleCluster;
  readonly #pods: number;
  readonly #port: number;
  #number = 0;

  /** `port`: where a gateway serves them. */
  constructor(cluster: ScaleCluster, pods: number, port: number) {
    this.#cluster = cluster;
    this.#pods = pods;
    this.#port = port;
  }

  /** So many, seen by nobody; resolves with their number when the gateway serves by the last one. */
  async unwatched(seconds: number): Promise<number> {
    const last = await WatchedPod.at(this.#port, 0, hostOf(0));
    const count = seconds * perSecond - 1;
    await this.#steadily(count, async (number) => this.#put((number * stride) % this.#pods));
    // After all others in the change stream and on the bus.
    const edit = await this.#put(last.index);
    await last.shows(edit);
    last.close();
    return count + 1;
  }

  /** From asking the store for an edit to its effect at the edge, in ms, of two in five. */
  async watched(seconds: number): Promise<number[]> {
    const watched = await Promise.all(
      Array.from({ length: watchedCount }, (_, index) =>
        WatchedPod.at(this.#port, index, hostOf(index)),
      ),
    );
    const tookMs: number[] = [];
    await this.#steadily(seconds * perSecond, async (number) => {
      const one = number % 5 < 2 ? watched[Math.floor(number / 2) % watchedCount] : undefined;
      if (!one) {
        await this.#put(watchedCount + ((number * stride) % (this.#pods - watchedCount)));
        return;
      }
      const startedMs = performance.now();
      const edit = this.#next();
      await Promise.all([this.#write(one.index, edit), one.shows(edit)]);
      tookMs.push(performance.now() - startedMs);
    });
    for (const one of watched) one.close();
    return tookMs;
  }

  async #steadily(count: number, edit: (number: number) => Promise<unknown>): Promise<void> {
    const startedMs = performance.now();
    const under: Promise<unknown>[] = [];
    for (let number = 0; number < count; number += 1) {
      const dueMs = startedMs + (number * 1_000) / perSecond;
      await systemClock.sleep(Math.max(0, dueMs - performance.now()));
      under.push(edit(number));
    }
    await Promise.all(under);
  }

  async #put(index: number): Promise<number> {
    const edit = this.#next();
    await this.#write(index, edit);
    return edit;
  }

  #next(): number {
    this.#number += 1;
    return this.#number;
  }

  async #write(index: number, edit: number): Promise<void> {
    const { store, sealer } = this.#cluster;
    await desiredPods(store).put(keyOf(index), pod(index, edit, sealer), 'anything');
  }
}
