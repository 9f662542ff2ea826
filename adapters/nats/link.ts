import { connect, credsAuthenticator } from '@nats-io/transport-node';
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { NatsAddress } from './address.ts';

export interface NatsSettings {
  readonly address: NatsAddress;
  /** The text of a credentials file (JWT and seed), instead of a user and password. */
  readonly creds: string | undefined;
  /** PEM; undefined: the machine's authorities. */
  readonly ca: string | undefined;
  /** How many servers keep the routes. */
  readonly replicas: number;
  /** What the server's operator sees us as. */
  readonly name: string;
  /** What subjects for answers begin with, so that none but this program need hear them; by default `_INBOX`. */
  readonly inboxPrefix?: string;
}

const connectMs = 2_000;
const againMs = 500;
// A server that restarts is back within a second or two; jitter keeps a fleet apart.
const reconnectMs = 250;
const pingMs = 3_000; // two that are not answered end a connection that is dead without a word

/** One connection to NATS, made as soon as there is a server and made again for ever. */
export class NatsLink {
  readonly #settings: NatsSettings;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #closed = new AbortController();
  readonly #first = Promise.withResolvers<NatsConnection>();
  #connection: NatsConnection | undefined;
  #trouble: string | undefined = 'no connection was made yet';
  readonly #listeners = new Set<() => void>();

  constructor(
    settings: NatsSettings,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#settings = settings;
    this.#clock = clock;
    this.#log = log;
    this.#first.promise.catch(() => undefined);
    void this.#connect();
  }

  /** How many servers keep the routes. */
  get replicas(): number {
    return this.#settings.replicas;
  }

  get inboxPrefix(): string | undefined {
    return this.#settings.inboxPrefix;
  }

  /** Undefined until the first connection was made; later also while it is away. */
  get connection(): NatsConnection | undefined {
    return this.#connection;
  }

  /** Resolves with the first connection, which is the only one. Rejects when the link is closed before. */
  connected(): Promise<NatsConnection> {
    return this.#first.promise;
  }

  /** Why nothing can be said or heard at the moment, in a sentence for operators. */
  problem(): string | undefined {
    return this.#trouble === undefined ? undefined : `NATS cannot be reached: ${this.#trouble}`;
  }

  /** Calls back each time a lost connection is back; the returned function ends it. */
  onBack(back: () => void): () => void {
    const listener = (): void => back();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What was said is sent first. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#trouble = 'it was closed';
    this.#first.reject(new Error('the link to NATS was closed'));
    if (!this.#connection || this.#connection.isClosed()) return;
    await Promise.race([this.#connection.flush(), this.#clock.sleep(againMs)]).catch(
      () => undefined,
    );
    await this.#connection.close();
  }

  async #connect(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      try {
        const connection = await connect(optionsOf(this.#settings));
        if (this.#closed.signal.aborted) {
          await connection.close();
          return;
        }
        this.#connection = connection;
        this.#trouble = undefined;
        void this.#follow(connection);
        this.#first.resolve(connection);
        return;
      } catch (error) {
        this.#trouble = reason(error);
      }
      await this.#clock.sleep(againMs, this.#closed.signal).catch(() => undefined);
    }
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#closed.signal.aborted) return;
      if (status.type === 'disconnect') {
        this.#trouble = 'the connection was lost';
        this.#log.warn({}, 'the connection to NATS was lost');
      }
      if (status.type === 'error')
        this.#log.warn({ error: reason(status.error) }, 'NATS complains');
      if (status.type !== 'reconnect') continue;
      this.#trouble = undefined;
      this.#log.warn({}, 'connected to NATS again');
      for (const listener of this.#listeners) listener();
    }
  }
}

function optionsOf({ address, creds, ca, name, inboxPrefix }: NatsSettings): ConnectionOptions {
  const { servers, tls, username, password } = address;
  return {
    servers: [...servers],
    name,
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    timeout: connectMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectMs,
    reconnectJitter: reconnectMs,
    reconnectJitterTLS: reconnectMs,
    pingInterval: pingMs,
    maxPingOut: 2,
    // Credentials that are renewed are accepted again later; giving up would need a restart.
    ignoreAuthErrorAbort: true,
    ...(tls ? { tls: ca === undefined ? {} : { ca } } : {}),
    ...(creds === undefined
      ? {}
      : { authenticator: credsAuthenticator(new TextEncoder().encode(creds)) }),
    ...(username === undefined ? {} : { user: username }),
    ...(password === undefined ? {} : { pass: password }),
  };
}

const reason = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);
