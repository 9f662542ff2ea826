import type { ChildProcess } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
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
const password = 'of the bench';
const zTokens = z.object({
  result: z.object({ access_token: z.object({ access_token: z.string() }) }),
});

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

export interface StartedApi {
  readonly child: ChildProcess;
  readonly port: number;
  /** Of a user who may edit every pod. */
  readonly token: string;
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

  /** The program itself, on the load's core. */
  async api(): Promise<StartedApi> {
    const port = await freePort();
    const settings = {
      PODGATE_API_PORT: String(port),
      PODGATE_API_REQUESTS_PER_MINUTE: '0',
      PODGATE_ADMIN_PASSWORD: password,
    };
    const { child } = await this.#program('api', settings, cores.rest);
    const body = JSON.stringify({ grant_type: 'password', username: 'admin', password });
    const headers = { 'content-type': 'application/json' };
    const url = `http://127.0.0.1:${port}/v3/oauth2/tokens`;
    const answer = await fetch(url, { method: 'POST', headers, body });
    const { result } = zTokens.parse(await answer.json());
    return { child, port, token: result.access_token.access_token };
  }

  /** The program itself, with one worker. */
  async gateway(): Promise<StartedGateway> {
    const [httpsPort, httpPort] = [await freePort(), await freePort()];
    const settings = {
      PODGATE_HTTPS_PORT: String(httpsPort),
      PODGATE_HTTP_PORT: String(httpPort),
      PODGATE_GATEWAY_WORKERS: '1',
    };
    const { child, ended, startedMs } = await this.#program('gateway', settings, cores.measured);
    const readyMs = performance.now() - startedMs;
    await Promise.race([this.#answers(httpsPort), ended]);
    return { child, httpsPort, readyMs, answeredMs: performance.now() - startedMs };
  }

  /** Starts a program of a cluster; resolves when it says that it is ready. */
  async #program(program: 'api' | 'gateway', settings: Record<string, string>, core: number) {
    const name = `${program}-${this.#pods}`;
    const folder = join(this.#bench.folder, name);
    mkdirSync(folder);
    const adminPort = await freePort();
    const environment = {
      PODGATE_REDIS_URL: this.#redis.url,
      PODGATE_NATS_URL: this.#nats?.url ?? '',
      PODGATE_SECRET_KEY_FILE: this.#keyFile,
      PODGATE_DOMAIN: domain,
      PODGATE_DATA_DIR: folder,
      PODGATE_ADMIN_PORT: String(adminPort),
      ...settings,
    };
    const words = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const argv = ['env', ...words, process.execPath, join(root, program, 'main.ts')];
    const startedMs = performance.now();
    const child = this.#bench.processes.start(argv, { core, name });
    const ended = once(child, 'exit').then((): never => {
      throw new Error(`${name} has ended: ${this.#bench.processes.log(name)}`);
    });
    ended.catch(() => undefined);
    await Promise.race([ready(adminPort), ended]);
    return { child, ended, startedMs };
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
