import type { Route } from '#contracts/route.ts';

/** Exact host → route, changed key by key: an edit costs the same among ten routes and 100,000. */
export class RouteTable {
  readonly #routes = new Map<string, Route>();
  readonly #fixed: ReadonlyMap<string, Route>;

  /** `fixed` routes are always there, whatever the controller says (the API's own host). */
  constructor(fixed: readonly Route[]) {
    this.#fixed = new Map(fixed.map((route) => [route.host, route]));
  }

  find(host: string): Route | undefined {
    return this.#routes.get(host) ?? this.#fixed.get(host);
  }

  apply({
    puts,
    drops,
  }: {
    readonly puts: readonly Route[];
    readonly drops: readonly string[];
  }): void {
    for (const host of drops) this.#routes.delete(host);
    for (const route of puts) if (!this.#fixed.has(route.host)) this.#routes.set(route.host, route);
  }
}
