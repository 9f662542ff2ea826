import type { Address, Route } from '#contracts/route.ts';

/** Exact host → route, changed key by key: an edit costs the same among ten routes and 100,000. */
export class RouteTable {
  readonly #routes = new Map<string, Route>();
  readonly #fixed: ReadonlyMap<string, Route>;
  #waitsUnder: string | undefined;

  /**
   * `fixed` routes are always there, whatever the controller says (the API's own host). Until
   * `complete` is called, hosts below `waitsUnder` are not yet known rather than unknown.
   */
  constructor(fixed: readonly Route[], waitsUnder?: string) {
    this.#fixed = new Map(fixed.map((route) => [route.host, route]));
    this.#waitsUnder = waitsUnder;
  }

  /** What the controller published, without the fixed ones. */
  get routes(): ReadonlyMap<string, Route> {
    return this.#routes;
  }

  find(host: string): Route | undefined {
    const route = this.#routes.get(host) ?? this.#fixed.get(host);
    if (route || this.#waitsUnder === undefined) return route;
    return host.endsWith(`.${this.#waitsUnder}`) ? unknownYet(host) : undefined;
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

  /** The whole table is here: a host without a route has no pod. */
  complete(): void {
    this.#waitsUnder = undefined;
  }
}

/** The domain's own host leads to the API, whatever the controller publishes. */
export const apiRoute = (domain: string, api: Address): Route => ({
  host: domain,
  tenant: '',
  pod: 'api',
  network: 'default',
  protocol: 'http',
  state: 'ready',
  message: '',
  upstream: api,
});

/** Before the first table came nobody can say that a pod does not exist. */
const unknownYet = (host: string): Route => ({
  host,
  tenant: '',
  pod: host,
  network: 'default',
  protocol: 'http',
  state: 'starting',
  message: 'The gateway has just started and waits for the addresses of the pods.',
  upstream: null,
});
