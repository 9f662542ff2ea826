/** Names to look at, each at most once; what was hurried comes before what was only added. */
export class WorkQueue {
  readonly #hurried = new Set<string>();
  readonly #added = new Set<string>();
  #wake: (() => void) | undefined;

  hurry(id: string): void {
    this.#added.delete(id);
    this.#hurried.add(id);
    this.#wake?.();
  }

  add(id: string): void {
    if (!this.#hurried.has(id)) this.#added.add(id);
    this.#wake?.();
  }

  /** The next name, as soon as there is one; undefined once `signal` aborts. */
  async next(signal: AbortSignal): Promise<string | undefined> {
    const wake = (): void => this.#wake?.();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        const id = takeFirst(this.#hurried) ?? takeFirst(this.#added);
        if (id !== undefined) return id;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
      return undefined;
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }
}

function takeFirst(ids: Set<string>): string | undefined {
  const [id] = ids;
  if (id !== undefined) ids.delete(id);
  return id;
}
