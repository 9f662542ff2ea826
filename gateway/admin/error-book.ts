import type { RecentError } from '../observe/report.ts';

const hostsMax = 1_000; // with errors lately; about 3 KB each at most
const perHostMax = 16;

/** The newest errors of each host, for who asks what is wrong with it. */
export class ErrorBook {
  readonly #byHost = new Map<string, RecentError[]>();

  add(error: RecentError): void {
    const errors = this.#byHost.get(error.host) ?? [];
    errors.push(error);
    if (errors.length > perHostMax) errors.shift();
    // Put behind all others: the first is the one that has had none for longest.
    this.#byHost.delete(error.host);
    this.#byHost.set(error.host, errors);
    const [oldest] = this.#byHost.keys();
    if (this.#byHost.size > hostsMax && oldest !== undefined) this.#byHost.delete(oldest);
  }

  /** Newest first. */
  of(host: string): readonly RecentError[] {
    return (this.#byHost.get(host) ?? []).toReversed();
  }
}
