import type { Lease, Leases } from '#contracts/leases.ts';
import type { Change, Delta, Document, Expectation, Fence, Page, Store } from '#contracts/store.ts';
import { StoreUnavailable, WriteOutcomeUnknown } from '#contracts/store.ts';
import type { Life } from './life.ts';
import type { Network } from './network.ts';
import type { Link } from './subscribed.ts';
import { subscribed } from './subscribed.ts';

const unavailable = (): Error => new StoreUnavailable('the store does not answer');
const unknownOutcome = (mayHaveHappened: boolean): Error =>
  mayHaveHappened ? new WriteOutcomeUnknown('the store was lost while it wrote') : unavailable();

/** The store as one life of a program has it over the network. */
export class FaultyStore implements Store {
  readonly #store: Store;
  readonly #link: Link;

  constructor(store: Store, life: Life, network: Network) {
    this.#store = store;
    this.#link = { life, network, service: 'store' };
  }

  get(collection: string, id: string): Promise<Document | undefined> {
    return this.#ask(() => this.#store.get(collection, id));
  }

  list(collection: string): Promise<readonly Document[]> {
    return this.#ask(() => this.#store.list(collection));
  }

  ids(collection: string): Promise<readonly string[]> {
    return this.#ask(() => this.#store.ids(collection));
  }

  changesSince(collection: string, version: number): Promise<Delta> {
    return this.#ask(() => this.#store.changesSince(collection, version));
  }

  async *pagesSince(collection: string, version: number): AsyncGenerator<Page> {
    yield await this.changesSince(collection, version);
  }

  put(
    collection: string,
    document: { readonly id: string; readonly value: unknown },
    expect: Expectation,
    fence?: Fence,
  ): Promise<number> {
    return this.#write(() => this.#store.put(collection, document, expect, fence));
  }

  remove(collection: string, id: string, expect: Expectation, fence?: Fence): Promise<void> {
    return this.#write(() => this.#store.remove(collection, id, expect, fence));
  }

  /**
   * Worse than the port allows: changes get lost, and a connection that breaks breaks the watch. A
   * controller that is level-triggered does not mind.
   */
  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    const source = (ended: AbortSignal): AsyncIterable<Change> =>
      this.#store.watch(collection, ended);
    return subscribed({ source, failure: unavailable }, this.#link, signal);
  }

  #ask<Answer>(perform: () => Promise<Answer>): Promise<Answer> {
    const { life, network } = this.#link;
    return network.call(life, 'store', { perform, failure: unavailable });
  }

  #write<Answer>(perform: () => Promise<Answer>): Promise<Answer> {
    const { life, network } = this.#link;
    return network.call(life, 'store', { perform, failure: unknownOutcome });
  }
}

/** Leases as one life of a program has them over the network. */
export class FaultyLeases implements Leases {
  readonly #leases: Leases;
  readonly #link: Link;

  constructor(leases: Leases, life: Life, network: Network) {
    this.#leases = leases;
    this.#link = { life, network, service: 'store' };
  }

  acquire(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    return this.#ask(() => this.#leases.acquire(name, holder, ttlMs));
  }

  renew(lease: Lease, ttlMs: number): Promise<boolean> {
    return this.#ask(() => this.#leases.renew(lease, ttlMs));
  }

  release(lease: Lease): Promise<void> {
    return this.#ask(() => this.#leases.release(lease));
  }

  #ask<Answer>(perform: () => Promise<Answer>): Promise<Answer> {
    const { life, network } = this.#link;
    return network.call(life, 'store', { perform, failure: unavailable });
  }
}
