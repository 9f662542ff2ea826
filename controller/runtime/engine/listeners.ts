import type { NetworkAddress, RunNetwork } from '../runtime.ts';
import { dial } from '../dial.ts';
import type { ContainerState } from './container-state.ts';

const dialMs = 1_000;
// Longer than a proxy on this machine needs to find nobody behind it.
const holdMs = 150;

/** Which networks of a container accept connections. */
export class Listeners {
  readonly #networks: readonly RunNetwork[];
  readonly #listening = new Set<string>();
  #state: Pick<ContainerState, 'ip' | 'ports' | 'unhealthy'> = {
    ip: '',
    ports: new Map(),
    unhealthy: null,
  };

  constructor(networks: readonly RunNetwork[]) {
    this.#networks = networks;
  }

  set state(state: Pick<ContainerState, 'ip' | 'ports' | 'unhealthy'>) {
    this.#state = state;
  }

  get unhealthy(): string | null {
    return this.#state.unhealthy;
  }

  get all(): boolean {
    return this.#listening.size === this.#networks.length;
  }

  /** Clients reach a network on the loopback of this machine; other pods reach it in the container. */
  addresses(): Record<string, NetworkAddress> {
    const { ip, ports, unhealthy } = this.#state;
    const found = this.#networks.map(({ name, protocol, port }): [string, NetworkAddress] => {
      const listening = this.#listening.has(name) && unhealthy === null;
      const published = ports.get(port);
      return protocol === 'local_only' || published === undefined
        ? [name, { host: ip, port, listening: listening && ip !== '' }]
        : [name, { host: '127.0.0.1', port: published, listening }];
    });
    return Object.fromEntries(found);
  }

  /** The first network, `default` before others, that clients wait for. */
  silent(): RunNetwork | undefined {
    const waited = this.#networks.filter(
      ({ name, protocol }) => protocol !== 'local_only' && !this.#listening.has(name),
    );
    return waited.find(({ name }) => name === 'default') ?? waited[0];
  }

  /** Looks once; true when something changed. */
  async look(): Promise<boolean> {
    const before = [...this.#listening].join();
    for (const network of this.#networks) {
      if (await this.#accepts(network)) this.#listening.add(network.name);
      else this.#listening.delete(network.name);
    }
    return [...this.#listening].join() !== before;
  }

  /** In the container, where it can be reached there: what stands before it may accept for nobody. */
  async #accepts({ port }: RunNetwork): Promise<boolean> {
    const { ip, ports } = this.#state;
    const inside =
      ip === '' ? 'unknown' : await dial({ host: ip, port, timeoutMs: dialMs, holdMs: 0 });
    if (inside !== 'unknown') return inside === 'accepted';
    const published = ports.get(port);
    if (published === undefined) return false;
    const outside = { host: '127.0.0.1', port: published, timeoutMs: dialMs, holdMs };
    return (await dial(outside)) === 'accepted';
  }
}
