/** Who serves something in this process: several may for a while, whoever came last counts. */
export class Newest<Server> {
  readonly #serving: { readonly server: Server }[] = [];

  get current(): Server | undefined {
    return this.#serving.at(-1)?.server;
  }

  /** Serves from now on; the returned function ends it, twice is fine. */
  add(server: Server): () => void {
    const entry = { server };
    this.#serving.push(entry);
    return () => {
      const index = this.#serving.indexOf(entry);
      if (index !== -1) this.#serving.splice(index, 1);
    };
  }
}
