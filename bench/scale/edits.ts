import { systemClock } from '#adapters/system/clock.ts';
import { Rest } from '../clients/rest.ts';
import type { StartedApi } from './cluster.ts';
import { editOf, hostOf } from './pods.ts';
import { WatchedPod } from './watched-pod.ts';

const perSecond = 100;
const watchedCount = 20;
const connections = 32;
/** Among so many pods edits go round; those that are watched are the first of them. */
const stride = 7_919; // prime: no size is a multiple of it

/** Edits of pods by the REST API at a steady rate, whatever becomes of them, numbered over all calls. */
export class Edits {
  readonly #rest: Rest;
  readonly #pods: number;
  readonly #port: number;
  #number = 0;

  /** `port`: where a gateway serves them. */
  constructor(api: StartedApi, pods: number, port: number) {
    this.#rest = new Rest(api, connections);
    this.#pods = pods;
    this.#port = port;
  }

  close(): void {
    this.#rest.close();
  }

  /** So many, seen by nobody; resolves with their number when the gateway serves by the last one. */
  async unwatched(seconds: number): Promise<number> {
    const last = await WatchedPod.at(this.#port, 0, hostOf(0));
    const count = seconds * perSecond - 1;
    await this.#steadily(count, async (number) => this.#put((number * stride) % this.#pods));
    // After all others in the change stream and on the bus.
    const edit = this.#next();
    await last.edited(edit, async () => this.#write(last.index, edit));
    last.close();
    return count + 1;
  }

  /** From the call for an edit to its effect at the edge, in ms, of two in five. */
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
      await one.edited(edit, async () => this.#write(one.index, edit));
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

  async #put(index: number): Promise<void> {
    await this.#write(index, this.#next());
  }

  #next(): number {
    this.#number += 1;
    return this.#number;
  }

  async #write(index: number, edit: number): Promise<void> {
    const { path, body } = editOf(index, edit);
    await this.#rest.call('PUT', path, body);
  }
}
