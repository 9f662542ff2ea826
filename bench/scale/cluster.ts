import type { ChildProcess } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { certificates } from '#contracts/certificate.ts';
import { wildcardOf } from '#contracts/hosts.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { makeIdentity } from '../../test/edge.ts';
import { NatsServer } from '../../test/programs/nats.ts';
import { openTestRedis } from '../../test/programs/redis-store.ts';
import { freePort } from '../../test/programs/ports.ts';
import { RedisServer } from '../../test/programs/redis.ts';
import type { Bench } from '../bench.ts';
import { ask, connect } from '../clients/connection.ts';
import type { ControllerRun, Told } from '../controller/main.ts';
import { cores } from '../machine/processes.ts';
import { pathOf } from '../machine/tools.ts';
import { createdAtMs, domain, hostOf, writePods } from './pods.ts';

const root = join(import.meta.dirname, '../..');
const pollMs = 10;

export interface StartedController {
  readonly child: ChildProcess;
  /** From asking for the lease until every gateway could know all routes. */
  readonly publishedMs: number;
  /** Until it had looked at every pod once more, as it does each minute. */
  allSeenTo(): Promise<number>;
}

export interface StartedGateway {
  readonly child: ChildProcess;
  readonly httpsPort: number;
  /** From the start of its process until `/readyz` says so. */
  readonly readyMs: number;
  /** Until a pod has answered through it. */
  readonly answeredMs: number;
}

/** A cluster whose pods are in one Redis, which is kept, and whose other programs come and go. */
export class ScaleCluster {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly #bench: Bench;
  readonly #redis: RedisServer;
  readonly #keyFile: string;
  readonly #upstreamPort: number;
  #nats: NatsServer | undefined;
  #pods = 0;

  static async start(bench: Bench): Promise<ScaleCluster> {
    const redis = await RedisServer.start(pathOf('redis-server'));
    bench.atClose(() => redis.stop());
    const opened = await openTestRedis(redis.url);
    const { store } = opened;
    bench.atClose(async () => opened.close());
    const upstreamPort = await bench.upstream();
    const cluster = new ScaleCluster(bench, { redis, store, upstreamPort });
    await cluster.#certify();
    return cluster;
  }

  private constructor(
    bench: Bench,
    terms: {
      readonly redis: RedisServer;
      readonly store: Store;
      readonly upstreamPort: number;
    },
  ) {
    this.#bench = bench;
    this.#redis = terms.redis;
    this.store = terms.store;
    this.#upstreamPort = terms.upstreamPort;
    this.#keyFile = join(bench.folder, 'sealer.key');
    this.sealer = openSealer(this.#keyFile);
  }

  /** One certificate for all hosts. */
  async #certify(): Promise<void> {
    const { chain, key } = makeIdentity();
    const certificate = {
      hosts: [wildcardOf(domain)],
      chain,
      key: this.sealer.seal(key, sealContext.certificate('wildcard')),
      notBeforeMs: createdAtMs,
      notAfterMs: Number.MAX_SAFE_INTEGER,
      renewAtMs: Number.MAX_SAFE_INTEGER,
      issuer: 'bench',
    };
    await certificates(this.store).put('wildcard', certificate, 'anything');
  }

  /** Adds pods until there are so many, and gives them a NATS that knows no routes. */
  async grow(pods: number): Promise<void> {
    await writePods(this.store, this.sealer, [this.#pods, pods]);
    this.#pods = pods;
    const nats = await NatsServer.start(pathOf('nats-server'));
    this.#bench.atClose(() => nats.stop());
    this.#nats = nats;
  }

  async controller(): Promise<StartedController> {
    const run: ControllerRun = {
      redis: this.#redis.url,
      nats: this.#nats?.url ?? '',
      keyFile: this.#keyFile,
      pods: this.#pods,
      upstreamPort: this.#upstreamPort,
    };
    const program = join(root, 'bench/controller/main.ts');
    const argv = [process.execPath, program, JSON.stringify(run)];
    const name = `controller-${this.#pods}`;
    const options = { core: cores.measured, name, ipc: true };
    const child = this.#bench.processes.start(argv, options);
    const told = on(child, 'message', { close: ['exit'] });
    const next = async (): Promise<number> => {
      const { value, done } = await told.next();
      if (done) throw new Error(`the controller has ended: ${this.#bench.processes.log(name)}`);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own program's message
      const [{ ms }] = value as [Told];
      return ms;
    };
    const publishedMs = await next();
    return { child, publishedMs, allSeenTo: next };
  }

  /** The program itself, with one worker. */
  async gateway(): Promise<StartedGateway> {
    const folder = join(this.#bench.folder, `gateway-${this.#pods}`);
    mkdirSync(folder);
    const [httpsPort, httpPort, adminPort] = [await freePort(), await freePort(), await freePort()];
    const environment = {
      PODGATE_REDIS_URL: this.#redis.url,
      PODGATE_NATS_URL: this.#nats?.url ?? '',
      PODGATE_SECRET_KEY_FILE: this.#keyFile,
      PODGATE_DOMAIN: domain,
      PODGATE_DATA_DIR: folder,
      PODGATE_HTTPS_PORT: String(httpsPort),
      PODGATE_HTTP_PORT: String(httpPort),
      PODGATE_ADMIN_PORT: String(adminPort),
      PODGATE_GATEWAY_WORKERS: '1',
    };
    const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const argv = ['env', ...settings, process.execPath, join(root, 'gateway/main.ts')];
    const startedMs = performance.now();
    const name = `gateway-${this.#pods}`;
    const child = this.#bench.processes.start(argv, { core: cores.measured, name });
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the gateway has ended: ${this.#bench.processes.log(name)}`);
    });
    await Promise.race([ready(adminPort), ended]);
    const readyMs = performance.now() - startedMs;
    await Promise.race([this.#answers(httpsPort), ended]);
    const answeredMs = performance.now() - startedMs;
    ended.catch(() => undefined);
    return { child, httpsPort, readyMs, answeredMs };
  }

  async #answers(port: number): Promise<void> {
    const host = hostOf(this.#pods - 1);
    const socket = await connect(port, [], host);
    while (!(await ask(socket, '/', host)).startsWith('HTTP/1.1 200')) {
      await systemClock.sleep(pollMs);
    }
    socket.destroy();
  }

  async end(...children: readonly ChildProcess[]): Promise<void> {
    for (const child of children) await this.#bench.processes.stop(child);
  }

  /** Ends NATS. */
  async forgetRoutes(): Promise<void> {
    await this.#nats?.kill();
  }
}

async function ready(port: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    await systemClock.sleep(pollMs);
  }
}
