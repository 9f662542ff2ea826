/** What came in for one reader, in the order it came. */
export class Mailbox<Item> {
  #items: Item[] = [];
  #wake: (() => void) | undefined;
  #over = false;
  #failure: Error | undefined;

  put(item: Item): void {
    if (this.#over) return;
    this.#items.push(item);
    this.#wake?.();
  }

  /** What is in it is not read any more; the reader gets `failure` thrown, if there is one. */
  end(failure?: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#items = [];
    this.#failure = failure;
    this.#wake?.();
  }

  /** `done` is called when the reader leaves. */
  async *read(done: () => void): AsyncGenerator<Item> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          yield item;
          continue;
        }
        if (this.#failure) throw this.#failure;
        if (this.#over) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      done();
    }
  }
}
