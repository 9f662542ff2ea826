/** Something that is on while anybody wants it. */
export class WhileWanted {
  readonly #start: () => () => void;
  readonly #wanting = new Set<object>();
  #end: () => void = () => undefined;

  /** `start` turns it on and returns what turns it off. */
  constructor(start: () => () => void) {
    this.#start = start;
  }

  /** The returned function says that it is no longer wanted; twice is fine. */
  want(): () => void {
    if (this.#wanting.size === 0) this.#end = this.#start();
    const own = {};
    this.#wanting.add(own);
    return () => {
      if (this.#wanting.delete(own) && this.#wanting.size === 0) this.#end();
    };
  }
}
