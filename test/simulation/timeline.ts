/** Something that is to happen. */
interface Due {
  readonly atMs: number;
  /** What is due at the same time happens in the order it was asked for. */
  readonly order: number;
  run: (() => void) | undefined;
}

/**
 * Virtual time: one thing happens after the other, each with everything that follows from it without
 * waiting (promises settle), and the time between them is skipped. Nothing else drives a simulation,
 * so the same beginning has the same end.
 */
export class Timeline {
  #elapsedMs = 0;
  #order = 0;
  /** A binary heap, the earliest first. */
  readonly #heap: Due[] = [];
  #hash = 0x811c9dc5;
  #keep: string[] | undefined;

  /** `keepTrace`: for people who look at one seed. */
  constructor(keepTrace: boolean) {
    if (keepTrace) this.#keep = [];
  }

  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  /** Of everything that was noted, and when. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get trace(): readonly string[] {
    return this.#keep ?? [];
  }

  /** Enters something that happened into the trace. */
  note(what: string): void {
    const line = `${this.#elapsedMs.toFixed(3)} ${what}`;
    let hash = this.#hash;
    for (let at = 0; at < line.length; at += 1)
      hash = Math.imul(hash ^ line.charCodeAt(at), 0x01000193);
    this.#hash = hash;
    this.#keep?.push(line);
  }

  /** Calls `run` once after `delayMs`. The returned function cancels it. */
  after(delayMs: number, run: () => void): () => void {
    const due: Due = {
      atMs: this.#elapsedMs + Math.max(0, delayMs),
      order: (this.#order += 1),
      run,
    };
    this.#push(due);
    return () => {
      due.run = undefined;
    };
  }

  /** Lets everything happen until then. */
  advanceTo(untilMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const step = (): void => {
      const due = this.#take(untilMs);
      if (!due) {
        this.#elapsedMs = Math.max(this.#elapsedMs, untilMs);
        resolve();
        return;
      }
      this.#elapsedMs = due.atMs;
      try {
        due.run?.();
      } catch (error) {
        reject(error);
        return;
      }
      // Between two of these the engine settles every promise that can be.
      setImmediate(step);
    };
    setImmediate(step);
    return promise;
  }

  #take(untilMs: number): Due | undefined {
    for (;;) {
      const [first] = this.#heap;
      if (!first || first.atMs > untilMs) return undefined;
      this.#pop();
      if (first.run) return first;
    }
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (!above || !before(due, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = heap[child];
      const right = heap[child + 1];
      if (below && right && before(right, below)) {
        below = right;
        child += 1;
      }
      if (!below || !before(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

const before = (a: Due, b: Due): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
