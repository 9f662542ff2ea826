import { isIP } from 'node:net';
import { inBlocks } from './allowed.ts';
import type { Deadlines } from './deadlines.ts';
import type { Limits } from './limits.ts';

/** What one address has open, and how many more it may open now. */
interface Account {
  open: number;
  tokens: number;
  countedAtMs: number;
}

type Bound = 'addressConnectionsMax' | 'addressConnectionsPerSecond';

/** Programs of this machine, and balancers on it that do not tell whose connections they pass on. */
const loopback = ['127.0.0.0/8', '::1'];

/**
 * How many connections one client may have and open, per worker, decided before TLS costs anything.
 * An IPv6 client is its /64 (RFC 6177): it has 2^64 addresses to choose from. Trusted proxies and
 * this machine itself are not counted. Of addresses with nothing open the latest are remembered.
 */
export class AddressLimits {
  readonly #limits: Limits;
  readonly #deadlines: Deadlines;
  readonly #trusted: readonly string[];
  readonly #reached: (bound: Bound) => void;
  readonly #open = new Map<string, Account>();
  /** In the order of their last connection's end. */
  readonly #past = new Map<string, Account>();

  /** `reached` hears of the bound that a connection was refused by. */
  constructor(
    limits: Limits,
    deadlines: Deadlines,
    trusted: readonly string[],
    reached: (bound: Bound) => void = () => undefined,
  ) {
    this.#reached = reached;
    this.#limits = limits;
    this.#deadlines = deadlines;
    this.#trusted = trusted;
  }

  /** Whether one more connection may be served; then `closed` must follow once. */
  opened(address: string): boolean {
    if (this.#exempt(address)) return true;
    const client = clientOf(address);
    const account = this.#open.get(client) ?? this.#past.get(client) ?? this.#full();
    this.#refill(account);
    const admitted = account.tokens >= 1 && account.open < this.#limits.addressConnectionsMax;
    if (admitted) {
      account.tokens -= 1;
      account.open += 1;
    } else {
      this.#reached(account.tokens < 1 ? 'addressConnectionsPerSecond' : 'addressConnectionsMax');
    }
    this.#keep(client, account);
    return admitted;
  }

  closed(address: string): void {
    const client = clientOf(address);
    const account = this.#open.get(client);
    if (!account) return;
    account.open -= 1;
    this.#keep(client, account);
  }

  #exempt(address: string): boolean {
    return inBlocks(loopback, address) || inBlocks(this.#trusted, address);
  }

  #full(): Account {
    const { addressBurst: tokens } = this.#limits;
    return { open: 0, tokens, countedAtMs: this.#deadlines.nowMs };
  }

  #refill(account: Account): void {
    const { addressBurst, addressConnectionsPerSecond } = this.#limits;
    const { nowMs } = this.#deadlines;
    const seconds = (nowMs - account.countedAtMs) / 1_000;
    account.tokens = Math.min(addressBurst, account.tokens + seconds * addressConnectionsPerSecond);
    account.countedAtMs = nowMs;
  }

  #keep(client: string, account: Account): void {
    this.#past.delete(client);
    if (account.open > 0) {
      this.#open.set(client, account);
      return;
    }
    this.#open.delete(client);
    this.#past.set(client, account);
    if (this.#past.size <= this.#limits.addressesRememberedMax) return;
    const [oldest = ''] = this.#past.keys();
    this.#past.delete(oldest);
  }
}

/** An IPv4 address, or the first 64 bits of an IPv6 address. */
export function clientOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [front = '', back] = address.split('::');
  const groups = front.split(':').filter(Boolean);
  const behind = back?.split(':').filter(Boolean) ?? [];
  // An IPv4 address at the end takes the place of two groups.
  const places = groups.length + behind.length + (address.includes('.') ? 1 : 0);
  const all = [...groups, ...Array.from({ length: 8 - places }, () => '0'), ...behind];
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
