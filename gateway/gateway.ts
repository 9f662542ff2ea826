import { join } from 'node:path';
import type { Certificate } from '#contracts/certificate.ts';
import type { Clock } from '#contracts/clock.ts';
import { podsDomain } from '#contracts/hosts.ts';
import type { Log } from '#contracts/log.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Random } from '#contracts/random.ts';
import type { Address, Route, RouteBus } from '#contracts/route.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Collection } from '#contracts/store.ts';
import { CertificateTable } from './certificate-table.ts';
import { bindListeners } from './listeners.ts';
import type { ToWorker } from './messages.ts';
import { changeFor } from './route-feed.ts';
import { byHost, loadTables, saveTables } from './snapshot.ts';
import type { Identity } from './tls.ts';
import { Workers } from './workers.ts';

export interface GatewayPorts {
  readonly routes: RouteBus;
  readonly certificates: Collection<Certificate>;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface GatewaySettings {
  /** This gateway's name on the bus. */
  readonly id: string;
  readonly domain: string;
  readonly httpsPort: number;
  readonly httpPort: number;
  readonly publicHttpsPort: number;
  readonly workers: number;
  readonly dataDir: string;
  /** Where the domain's own host leads. */
  readonly api: Address;
}

export interface Gateway {
  readonly httpsPort: number;
  readonly httpPort: number;
  /** Process ids of the workers that run now. */
  readonly workerPids: () => readonly number[];
  ready(): boolean;
  stop(): Promise<void>;
}

const snapshotWaitMs = 2_000; // then the tables of the last run are better than none
const saveDelayMs = 500; // a burst of changes is one write
const workersStartMs = 10_000; // a machine that is busy starting everything else
const ticketMasterBytes = 32;

/** Binds the ports (throws `PortTaken`); resolves when workers listen. Tables fill as they arrive. */
export async function startGateway(
  ports: GatewayPorts,
  settings: GatewaySettings,
): Promise<Gateway> {
  const wanted = [settings.httpsPort, settings.httpPort];
  const listeners = await bindListeners(wanted, settings.workers, ports.clock);
  const [httpsPort = 0, httpPort = 0] = listeners.ports;
  const parent = new Parent(ports, { ...settings, httpsPort, httpPort });
  await parent.loadCertificates();
  const workers = parent.startWorkers(listeners.handles);
  await parent.listening(workersStartMs);
  const abort = new AbortController();
  const loops = Promise.all([
    parent.followRoutes(abort.signal),
    parent.followCertificates(abort.signal),
  ]);
  return {
    httpsPort,
    httpPort,
    workerPids: () => workers.pids,
    ready: () => parent.hasTables && workers.ready,
    stop: async () => {
      abort.abort();
      parent.stop();
      await workers.stop();
      await loops;
      for (const handle of listeners.handles.flat()) handle.close();
    },
  };
}

/** Keeps the tables, tells the workers of every change, and remembers them on disk. */
class Parent {
  hasTables = false;
  readonly #ports: GatewayPorts;
  readonly #settings: GatewaySettings;
  readonly #file: string;
  readonly #ticketMaster: Buffer;
  readonly #certificates = new CertificateTable();
  #routes = new Map<string, Route>();
  #revision = -1;
  #acknowledged = -1;
  #workers: Workers | undefined;
  readonly #allListen = Promise.withResolvers<void>();
  #cancelSave: (() => void) | undefined;
  #cancelWait: (() => void) | undefined;

  constructor(ports: GatewayPorts, settings: GatewaySettings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#file = join(settings.dataDir, 'gateway', 'tables.json');
    this.#ticketMaster = ports.random.bytes(ticketMasterBytes);
  }

  startWorkers(handles: ConstructorParameters<typeof Workers>[0]): Workers {
    const { clock, log } = this.#ports;
    this.#workers = new Workers(handles, {
      clock,
      log,
      greeting: (number) => this.#greeting(number),
      wanted: (host, answer) =>
        answer({ kind: 'certificate', host, identity: this.#identity(host) }),
      changed: () => {
        this.#acknowledge();
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

  async followRoutes(signal: AbortSignal): Promise<void> {
    const { routes, clock, log } = this.#ports;
    this.#cancelWait = clock.after(snapshotWaitMs, () => void this.#loadTables());
    for await (const event of routes.follow(this.#settings.id, signal)) {
      const change = changeFor(event, this.#routes);
      if (change === 'refused') {
        log.error(
          { revision: event.revision },
          'a snapshot without a fifth of the routes is refused',
        );
        continue;
      }
      for (const bad of change.quarantined) log.error(bad, 'a route is quarantined');
      this.#apply(change.puts, change.drops, change.revision);
    }
  }

  async followCertificates(signal: AbortSignal): Promise<void> {
    for await (const { id } of this.#ports.certificates.watch(signal)) {
      try {
        const stored = await this.#ports.certificates.get(id);
        const hosts = stored
          ? this.#certificates.put(id, stored.value)
          : this.#certificates.remove(id);
        this.#certificatesChanged(hosts);
      } catch (error) {
        this.#ports.log.error({ certificate: id, error: String(error) }, 'certificate not loaded');
      }
    }
  }

  async loadCertificates(): Promise<void> {
    const { documents, broken } = await this.#ports.certificates.list();
    for (const { id, value } of documents) this.#certificates.put(id, value);
    for (const bad of broken) this.#ports.log.error(bad, 'certificate not loaded');
  }

  stop(): void {
    this.#cancelWait?.();
    this.#cancelSave?.();
  }

  /** With no controller heard of, what was served last is served again. */
  async #loadTables(): Promise<void> {
    const tables = this.hasTables ? undefined : await loadTables(this.#file);
    if (!tables || this.hasTables) return;
    const ageMs = this.#ports.clock.nowMs() - tables.savedAtMs;
    this.#ports.log.warn(
      { ageMs },
      'no routes from a controller yet: serving those of the last run',
    );
    for (const [id, certificate] of Object.entries(tables.certificates)) {
      this.#certificatesChanged(this.#certificates.put(id, certificate));
    }
    this.#apply(tables.routes, [], 0);
  }

  #apply(puts: readonly Route[], drops: readonly string[], revision: number): void {
    for (const host of drops) this.#routes.delete(host);
    for (const [host, route] of byHost(puts)) this.#routes.set(host, route);
    this.#revision = revision;
    this.hasTables = true;
    this.#workers?.broadcast({ kind: 'routes', puts, drops, revision });
    this.#save();
  }

  #acknowledge(): void {
    const revision = this.#workers?.revision ?? -1;
    if (revision <= this.#acknowledged) return;
    this.#acknowledged = revision;
    this.#ports.routes.acknowledge({ gateway: this.#settings.id, revision });
  }

  #greeting(number: number): ToWorker[] {
    const { domain, publicHttpsPort, httpPort, api } = this.#settings;
    const ticketMaster = this.#ticketMaster;
    const terms = { number, domain, publicHttpsPort, httpPort, api, ticketMaster };
    const begin = { kind: 'begin', terms, wildcard: this.#wildcard() } as const;
    if (!this.hasTables) return [begin];
    const puts = [...this.#routes.values()];
    return [begin, { kind: 'routes', puts, drops: [], revision: this.#revision }];
  }

  #wildcard(): Identity | undefined {
    return this.#identity(`*.${podsDomain(this.#settings.domain)}`);
  }

  #identity(host: string): Identity | undefined {
    const found = this.#certificates.find(host);
    if (!found) return undefined;
    const { id, certificate } = found;
    const key = this.#ports.sealer.open(certificate.key, sealContext.certificate(id));
    return { chain: certificate.chain, key };
  }

  #certificatesChanged(hosts: readonly string[]): void {
    if (hosts.length === 0) return;
    this.#workers?.broadcast({ kind: 'certificates-changed', hosts });
    const identity = hosts.some((host) => host.startsWith('*.')) ? this.#wildcard() : undefined;
    if (identity) this.#workers?.broadcast({ kind: 'wildcard', identity });
    this.#save();
  }

  #save(): void {
    if (this.#cancelSave) return;
    const { clock, log } = this.#ports;
    this.#cancelSave = clock.after(saveDelayMs, () => {
      this.#cancelSave = undefined;
      saveTables(this.#file, {
        savedAtMs: clock.nowMs(),
        routes: [...this.#routes.values()],
        certificates: Object.fromEntries(this.#certificates.entries()),
      }).catch((error: unknown) => {
        log.error({ error: String(error) }, 'the tables could not be saved');
      });
    });
  }
}
