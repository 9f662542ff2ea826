const frontPlaces = 64; // kept free for those that come back: as many as are served at a time, and more

/** A queue out of which anybody may go, in time that does not grow with it. */
class Line {
  #ids: (string | undefined)[] = [];
  #head = 0;
  /** Where each stands, counted from the first there ever was. */
  readonly #at = new Map<string, number>();
  #gone = 0;

  get size(): number {
    return this.#at.size;
  }

  push(id: string): void {
    this.#at.set(id, this.#gone + this.#ids.length);
    this.#ids.push(id);
  }

  /** Gives a place in front back to one that was taken from there. */
  unshift(id: string): void {
    if (this.#head === 0) return this.push(id);
    this.#head -= 1;
    this.#ids[this.#head] = id;
    this.#at.set(id, this.#gone + this.#head);
  }

  delete(id: string): void {
    const at = this.#at.get(id);
    if (at === undefined) return;
    this.#at.delete(id);
    this.#ids[at - this.#gone] = undefined;
  }

  shift(): string | undefined {
    while (this.#head < this.#ids.length) {
      const id = this.#ids[this.#head];
      this.#head += 1;
      if (id === undefined) continue;
      this.#at.delete(id);
      this.#shrink();
      return id;
    }
    return undefined;
  }

  *[Symbol.iterator](): Iterator<string> {
    for (let at = this.#head; at < this.#ids.length; at += 1) {
      const id = this.#ids[at];
      if (id !== undefined) yield id;
    }
  }

  #shrink(): void {
    if (this.#head < 1024 || this.#head * 2 < this.#ids.length) return;
    const taken = this.#head - frontPlaces;
    this.#ids = this.#ids.slice(taken);
    this.#gone += taken;
    this.#head = frontPlaces;
  }
}

/**
 * Serves its owners in turn, and each owner's in the order in which they came: whoever comes with very
 * many waits for its own, and others do not wait for it.
 */
export class FairLine {
  readonly #owners = new Map<string, Line>();

  get size(): number {
    let size = 0;
    for (const line of this.#owners.values()) size += line.size;
    return size;
  }

  push(owner: string, id: string): void {
    const line = this.#owners.get(owner) ?? new Line();
    this.#owners.set(owner, line);
    line.push(id);
  }

  /** Serves it next. */
  unshift(owner: string, id: string): void {
    const line = this.#owners.get(owner) ?? new Line();
    line.unshift(id);
    const others = [...this.#owners].filter(([other]) => other !== owner);
    this.#owners.clear();
    for (const [name, its] of [[owner, line] as const, ...others]) this.#owners.set(name, its);
  }

  delete(owner: string, id: string): void {
    const line = this.#owners.get(owner);
    line?.delete(id);
    if (line?.size === 0) this.#owners.delete(owner);
  }

  shift(): string | undefined {
    const [next] = this.#owners;
    if (!next) return undefined;
    const [owner, line] = next;
    const id = line.shift();
    // Its next turn is after everybody else's.
    this.#owners.delete(owner);
    if (line.size > 0) this.#owners.set(owner, line);
    return id;
  }

  /** In the order of serving, if nobody else comes. */
  *[Symbol.iterator](): Iterator<string> {
    let turns = [...this.#owners.values()].map((line) => line[Symbol.iterator]());
    while (turns.length > 0) {
      const left: Iterator<string>[] = [];
      for (const turn of turns) {
        const { value, done } = turn.next();
        if (done) continue;
        left.push(turn);
        yield value;
      }
      turns = left;
    }
  }
}
