/** What is to happen, soonest first. A plain binary heap: millions go through it. */
export class Events<T> {
  readonly #atMs: number[] = [];
  readonly #what: T[] = [];

  add(atMs: number, what: T): void {
    let at = this.#atMs.push(atMs) - 1;
    this.#what.push(what);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if ((this.#atMs[above] ?? 0) <= atMs) break;
      this.#swap(at, above);
      at = above;
    }
  }

  take(): { readonly atMs: number; readonly what: T } | undefined {
    const atMs = this.#atMs[0];
    const what = this.#what[0];
    if (atMs === undefined || what === undefined) return undefined;
    const last = this.#atMs.length - 1;
    this.#swap(0, last);
    this.#atMs.pop();
    this.#what.pop();
    this.#sink();
    return { atMs, what };
  }

  #sink(): void {
    const size = this.#atMs.length;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < size && this.#of(left) < this.#of(least)) least = left;
      if (right < size && this.#of(right) < this.#of(least)) least = right;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #of = (at: number): number => this.#atMs[at] ?? 0;

  #swap(a: number, b: number): void {
    const [atMs, what] = [this.#of(a), this.#what[a] as T];
    this.#atMs[a] = this.#of(b);
    this.#what[a] = this.#what[b] as T;
    this.#atMs[b] = atMs;
    this.#what[b] = what;
  }
}
