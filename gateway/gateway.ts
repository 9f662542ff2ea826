import { join } from 'node:path';
import { domainOfWildcard } from '#contracts/hosts.ts';
import type { Address } from '#contracts/route.ts';
import { OperatorView } from './admin/operator.ts';
import { askHealth, watchApis } from './api-watch.ts';
import { CancelDesk } from './cancel-desk.ts';
import { ChallengeDesk } from './challenges/desk.ts';
import { CertificateFeed } from './certificates/feed.ts';
import { keepFollowing } from './follow.ts';
import { bindListeners } from './listeners.ts';
import type { ToWorker } from './messages.ts';
import type { GatewayPorts, GatewaySettings } from './ports.ts';
import type { TableChange } from './route-feed.ts';
import { ServedRoutes } from './served-routes.ts';
import { SessionTickets } from './session-tickets.ts';
import { TableFile } from './snapshot.ts';
import { Workers } from './workers.ts';

export interface Gateway {
  readonly httpsPort: number;
  readonly httpPort: number;
  /** Process ids of the workers that run now. */
  readonly workerPids: () => readonly number[];
  ready(): boolean;
  /** What it shows on the admin port, and tells the api. */
  readonly operator: Pick<OperatorView, 'problem' | 'endpoints' | 'observe' | 'traffic'>;
  stop(): Promise<void>;
}

const snapshotWaitMs = 2_000; // then the tables of the last run are better than none
const workersStartMs = 10_000; // a machine that is busy starting everything else

/** Binds the ports (throws `PortTaken`); resolves when workers listen. Tables fill as they arrive. */
export async function startGateway(
  ports: GatewayPorts,
  settings: GatewaySettings,
): Promise<Gateway> {
  const wanted = [settings.httpsPort, settings.httpPort];
  const listeners = await bindListeners(wanted, settings.workers, ports.clock);
  const [httpsPort = 0, httpPort = 0] = listeners.ports;
  const parent = new Parent(ports, { ...settings, httpsPort, httpPort });
  const abort = new AbortController();
  const certificatesFollowed = await parent.followCertificates(abort.signal);
  await parent.readTickets();
  const workers = parent.startWorkers(listeners.handles);
  await parent.listening(workersStartMs);
  const unserve = ports.cancels?.serve((key, from) => parent.cancels.owners(key, from));
  const followed = parent.follow(abort.signal);
  return {
    httpsPort,
    httpPort,
    workerPids: () => workers.pids,
    ready: () => parent.operator.problem() === undefined,
    operator: parent.operator,
    stop: async () => {
      abort.abort();
      unserve?.();
      await workers.stop();
      await Promise.all([certificatesFollowed.end, followed]);
      await parent.stop();
      for (const handle of listeners.handles.flat()) handle.close();
    },
  };
}

/** Keeps the tables, tells the workers of every change, and remembers them on disk. */
class Parent {
  readonly operator: OperatorView;
  readonly cancels: CancelDesk;
  readonly #challenges: ChallengeDesk;
  readonly #ports: GatewayPorts;
  readonly #settings: GatewaySettings;
  readonly #file: TableFile;
  readonly #tickets: SessionTickets;
  readonly #certificates: CertificateFeed;
  readonly #routes: ServedRoutes;
  #workers: Workers | undefined;
  readonly #allListen = Promise.withResolvers<void>();
  #cancelWait: (() => void) | undefined;
  #api: Address;

  constructor(ports: GatewayPorts, settings: GatewaySettings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#tickets = new SessionTickets(join(settings.dataDir, 'gateway', 'tickets.json'), {
      ...ports,
      changed: (master) => this.#workers?.broadcast({ kind: 'ticket-master', master }),
    });
    this.#api = settings.api;
    const routePorts = {
      ...ports,
      workers: () => this.#workers,
      changed: ({ puts, drops }: Pick<TableChange, 'puts' | 'drops'>): void => {
        this.operator.dropped(drops);
        if (puts.length + drops.length > 0) this.#file.changed();
      },
    };
    this.#routes = new ServedRoutes(routePorts, { ...settings, gateway: settings.id });
    this.#certificates = new CertificateFeed(
      { ...ports, changed: (hosts) => this.#certificatesChanged(hosts) },
      join(settings.dataDir, 'gateway', 'certificates.db'),
    );
    this.#certificatesChanged([...this.#certificates.wildcards]);
    this.#challenges = new ChallengeDesk({
      ...ports,
      tell: (message) => this.#workers?.broadcast(message),
    });
    this.cancels = new CancelDesk(
      ports.clock,
      (question) => this.#workers?.broadcast({ kind: 'cancel-asked', ...question }) ?? 0,
      ports.cancels,
    );
    this.#file = new TableFile(join(settings.dataDir, 'gateway', 'tables.json'), ports, () => [
      ...this.#routes.register.routes.values(),
    ]);
    this.operator = new OperatorView({
      ...settings,
      clock: ports.clock,
      routes: this.#routes.register,
      certificates: this.#certificates,
      workers: () => this.#workers,
      appliedRevision: () => this.#routes.appliedRevision,
    });
  }

  startWorkers(handles: ConstructorParameters<typeof Workers>[0]): Workers {
    const { clock, log } = this.#ports;
    this.#workers = new Workers(handles, {
      clock,
      log,
      greeting: (number) => this.#greeting(number),
      wanted: (host, answer) =>
        this.#certificates.wanted(host, (identity) =>
          answer({ kind: 'certificate', host, identity }),
        ),
      challengeWanted: (id, answer) => void this.#challenges.wanted(id, answer),
      cancelWanted: ({ question, key, from }, answer) =>
        void this.cancels
          .find(key, from)
          .then((owner) => answer({ kind: 'cancel-owner', question, owner })),
      cancelOwners: (question, owners) => this.cancels.answer(question, owners),
      unusable: (host, reason) => {
        log.error({ host, reason }, 'a certificate cannot be used');
        this.#certificates.unusable(host, reason);
      },
      reported: (worker, report) => this.operator.reported(worker, report),
      left: (worker) => this.operator.left(worker),
      changed: () => {
        this.#routes.workersChanged();
        if (this.#workers?.ready) this.#allListen.resolve();
      },
    });
    return this.#workers;
  }

  /** Resolves when every worker listens; a worker that fails all this time is logged and retried. */
  async listening(patienceMs: number): Promise<void> {
    const cancel = this.#ports.clock.after(patienceMs, () => this.#allListen.resolve());
    await this.#allListen.promise;
    cancel();
  }

  /** Resolves when what changed of the certificates is read, or cannot be; `end` resolves after the signal. */
  async followCertificates(signal: AbortSignal): Promise<{ readonly end: Promise<void> }> {
    const tried = Promise.withResolvers<void>();
    const follow = (): Promise<void> =>
      this.#certificates.follow(signal, tried.resolve).finally(tried.resolve);
    const end = keepFollowing('certificates', follow, { ...this.#ports, signal });
    // A store that is away must not keep us from serving what the last run knew.
    const cancel = this.#ports.clock.after(snapshotWaitMs, tried.resolve);
    await tried.promise;
    cancel();
    return { end };
  }

  /** Waits for the store for a moment only. */
  readTickets(): Promise<void> {
    return this.#tickets.start();
  }

  /** Everything but certificates, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const ports = { ...this.#ports, signal };
    await Promise.all([
      this.#followRoutes(signal),
      this.#watchApis(signal),
      keepFollowing('challenges', () => this.#challenges.follow(signal), ports),
      keepFollowing('session tickets', () => this.#tickets.follow(signal), ports),
    ]);
  }

  #followRoutes(signal: AbortSignal): Promise<void> {
    this.#cancelWait = this.#ports.clock.after(snapshotWaitMs, () => void this.#loadTables());
    return this.#routes.follow(signal);
  }

  #watchApis(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#ports;
    const { api, otherApis = [] } = this.#settings;
    const use = (address: Address): void => {
      log.warn({ api: address }, 'the API is asked elsewhere from now on');
      this.#api = address;
      this.#routes.table.moveApi(address);
      this.#workers?.broadcast({ kind: 'api', address });
    };
    return watchApis([api, ...otherApis], { clock, ask: askHealth(clock) }, use, signal);
  }

  async stop(): Promise<void> {
    this.#cancelWait?.();
    await this.#file.flush();
    this.#certificates.close();
  }

  /** With no controller heard of, what was served last is served again. */
  async #loadTables(): Promise<void> {
    const { register } = this.#routes;
    const tables = register.hasTables ? undefined : await this.#file.load();
    if (!tables || register.hasTables) return;
    const ageMs = this.#ports.clock.nowMs() - tables.savedAtMs;
    this.#ports.log.warn(
      { ageMs },
      'no routes from a controller yet: serving those of the last run',
    );
    this.#routes.restore(tables.routes, tables.savedAtMs);
  }

  *#greeting(number: number): Generator<ToWorker> {
    const {
      id: _id,
      httpsPort: _port,
      workers: _workers,
      dataDir: _dir,
      otherApis: _others,
      ...serving
    } = this.#settings;
    const { master: ticketMaster } = this.#tickets;
    const terms = { ...serving, api: this.#api, number, ticketMaster };
    yield { kind: 'begin', terms };
    for (const name of this.#certificates.wildcards) yield* this.#domainMessages(name);
    yield* this.#challenges.greeting();
    yield* this.#routes.greeting();
    yield { kind: 'serve' };
  }

  /** Of a wildcard's name: that its domain is served with it, or no more. Others say nothing. */
  *#domainMessages(name: string): Generator<Extract<ToWorker, { kind: 'wildcard' }>> {
    const domain = domainOfWildcard(name);
    if (domain === undefined) return;
    const identity = this.#certificates.identity(name);
    // One whose key does not open leaves the one before in use.
    if (identity || !this.#certificates.known(name)) yield { kind: 'wildcard', domain, identity };
  }

  #certificatesChanged(hosts: readonly string[]): void {
    if (hosts.length === 0) return;
    this.#workers?.broadcast({ kind: 'certificates-changed', hosts });
    for (const message of hosts.flatMap((host) => [...this.#domainMessages(host)])) {
      this.#routes.table.heed(message);
      this.#workers?.broadcast(message);
    }
  }
}
