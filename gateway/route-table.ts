import { parentOf, podsDomain } from '#contracts/hosts.ts';
import type { Address, Route } from '#contracts/route.ts';

/** Exact host → route, changed key by key: an edit costs the same among ten routes and 100,000. */
export class RouteTable {
  readonly #routes = new Map<string, Route>();
  #api: Address;
  readonly #own: string;
  /** The API's, by the domain it answers at. */
  readonly #apis = new Map<string, Route>();
  /** Of each domain that is served, what its pods' hosts end with. */
  readonly #parents = new Set<string>();
  #complete = false;

  /** Serves `domain` always, others as told; the API is at `api`, whatever the controller says. */
  constructor(domain: string, api: Address) {
    this.#api = api;
    this.#own = domain;
    this.#serve(domain);
  }

  /** What the controller published. */
  get routes(): ReadonlyMap<string, Route> {
    return this.#routes;
  }

  /**
   * A domain with a certificate for its pods is served: the API answers at it, and the hosts below
   * `pods.` of it are for pods. Without one it is not, unless it is our own.
   */
  heed({ domain, identity }: { readonly domain: string; readonly identity: unknown }): void {
    if (identity !== undefined) {
      this.#serve(domain);
    } else if (domain !== this.#own) {
      this.#apis.delete(domain);
      this.#parents.delete(podsDomain(domain));
    }
  }

  /** The API is here from now on. */
  moveApi(address: Address): void {
    this.#api = address;
    for (const domain of this.#apis.keys()) this.#apis.set(domain, apiRoute(domain, address));
  }

  isApi(host: string): boolean {
    return this.#apis.has(host);
  }

  /** Whether a pod could have this host. */
  isForPods(host: string): boolean {
    return this.#parents.has(parentOf(host));
  }

  /** Until `complete` is called, pods' hosts are not yet known rather than unknown. */
  find(host: string): Route | undefined {
    const route = this.#routes.get(host) ?? this.#apis.get(host);
    if (route || this.#complete) return route;
    return this.isForPods(host) ? unknownYet(host) : undefined;
  }

  apply({
    puts,
    drops,
  }: {
    readonly puts: readonly Route[];
    readonly drops: readonly string[];
  }): void {
    for (const host of drops) this.#routes.delete(host);
    for (const route of puts) if (!this.isApi(route.host)) this.#routes.set(route.host, route);
  }

  #serve(domain: string): void {
    this.#apis.set(domain, apiRoute(domain, this.#api));
    this.#parents.add(podsDomain(domain));
    this.#routes.delete(domain);
  }

  /** The whole table is here: a host without a route has no pod. */
  complete(): void {
    this.#complete = true;
  }
}

const apiRoute = (domain: string, api: Address): Route => ({
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
