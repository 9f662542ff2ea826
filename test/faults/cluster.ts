import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import type { ClusterTerms, Program, ProgramName } from '../../deploy/compose/plan.ts';
import { makeNatsPasswords, membersOf, podsPlace, portNames } from '../../deploy/compose/plan.ts';
import { stopPods } from '../../deploy/compose/stop-pods.ts';
import { Supervisor } from '../../deploy/compose/supervisor.ts';
import type { Reply, RequestOptions } from '../integration/https-request.ts';
import { httpsRequest } from '../integration/https-request.ts';
import type { Answer } from '../integration/rest-api.ts';
import { adminToken, callApi } from '../integration/rest-api.ts';
import type { Call, PodDefinition } from '../integration/standalone.ts';
import { createPod, makeFolder, until, untilState } from '../integration/standalone.ts';
import { freePorts } from '../programs/ports.ts';
import { natsProgram } from '../programs/nats.ts';
import { redisProgram } from '../programs/redis.ts';
import { Cable } from './proxy.ts';

/** What `npm run cluster` starts, with a cable between each program and each server. */

export type Server = 'redis' | 'nats';
export const servers: readonly Server[] = ['redis', 'nats'];
export const programs: readonly ProgramName[] = [
  'api-1',
  'api-2',
  'controller-1',
  'controller-2',
  'gateway-1',
  'gateway-2',
  'certs-1',
  'certs-2',
];

const password = 'correct horse';
const linesMax = 2_000;
const requestMs = 10_000;

async function choosePorts(): Promise<ClusterTerms['ports']> {
  const ports = await freePorts(portNames.length);
  return Object.fromEntries(
    portNames.map((name, at) => [name, ports[at]]),
  ) as ClusterTerms['ports'];
}

export class TestCluster {
  readonly ports: ClusterTerms['ports'];
  readonly supervisor: Supervisor;
  readonly #folder: string;
  readonly #cables: ReadonlyMap<string, Cable>;
  readonly #lines: string[];
  readonly #natsPasswords: ClusterTerms['natsPasswords'];
  #ca = '';
  #token = '';

  /** Resolves when every program says that it is ready. */
  static async start(environment: NodeJS.ProcessEnv = {}): Promise<TestCluster> {
    const found = { redis: await redisProgram(), nats: await natsProgram() };
    const folder = makeFolder();
    const ports = await choosePorts();
    const cables = new Map<string, Cable>();
    for (const program of programs)
      for (const server of servers)
        cables.set(`${program} ${server}`, await Cable.to(ports[server]));
    for (const name of servers) mkdirSync(join(folder, name));
    const lines: string[] = [];
    const natsPasswords = makeNatsPasswords(systemRandom);
    const members = membersOf({
      folder,
      ports,
      servers: found,
      natsPasswords,
      environment: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        PODGATE_ADMIN_PASSWORD: password,
        PODGATE_API_REQUESTS_PER_MINUTE: '0',
        PODGATE_GATEWAY_WORKERS: '1',
        ...environment,
      },
      portFor: (program, server) => cables.get(`${program} ${server}`)?.port ?? 0,
    });
    const supervisor = new Supervisor(members, systemClock, (name, line) => {
      if (servers.some((server) => server === name)) return;
      lines.push(`${new Date().toISOString()} ${name} ${line}`);
      if (lines.length > linesMax) lines.shift();
      if (process.env['PODGATE_TEST_SHOW']) process.stderr.write(`${lines.at(-1)}\n`);
    });
    const cluster = new TestCluster({ ports, supervisor, folder, cables, lines, natsPasswords });
    for (const name of supervisor.names) supervisor.start(name);
    try {
      await cluster.allReady(60_000);
      await cluster.#open();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  private constructor(parts: {
    readonly ports: ClusterTerms['ports'];
    readonly supervisor: Supervisor;
    readonly folder: string;
    readonly cables: ReadonlyMap<string, Cable>;
    readonly lines: string[];
    readonly natsPasswords: ClusterTerms['natsPasswords'];
  }) {
    this.ports = parts.ports;
    this.supervisor = parts.supervisor;
    this.#folder = parts.folder;
    this.#cables = parts.cables;
    this.#lines = parts.lines;
    this.#natsPasswords = parts.natsPasswords;
  }

  get ca(): string {
    return this.#ca;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** How NATS is reached with the rights of this program. */
  natsUser(program: Program): { servers: string; user: string; pass: string } {
    const pass = this.#natsPasswords[program];
    return { servers: `127.0.0.1:${this.ports.nats}`, user: program, pass };
  }

  /** What the programs have said of late. */
  get output(): string {
    return this.#lines.slice(-60).join('\n');
  }

  async #open(): Promise<void> {
    const url = `http://127.0.0.1:${this.ports['api-1']}/ca.pem`;
    this.#ca = await (await fetch(url)).text();
    this.#token = await adminToken(this.ports['api-1'], password);
  }

  /** What `/readyz` says; undefined: nothing. */
  async readiness(
    program: ProgramName,
  ): Promise<
    | { status: number; parts: readonly { name: string; ready: boolean; reason?: string }[] }
    | undefined
  > {
    try {
      const url = `http://127.0.0.1:${this.ports[`admin-${program}`]}/readyz`;
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      const { parts } = (await response.json()) as { parts: [] };
      return { status: response.status, parts };
    } catch {
      return undefined;
    }
  }

  async allReady(boundMs = 30_000, only: readonly ProgramName[] = programs): Promise<void> {
    for (const program of only) {
      let last: unknown;
      await until(
        async () => {
          const found = await this.readiness(program);
          last = found;
          return found?.parts.every(({ ready }) => ready) === true;
        },
        () => `${program} is not ready: ${JSON.stringify(last)}\n${this.output}`,
        boundMs,
      );
    }
  }

  /** One call of the REST API at one of the two; rejects when there is no answer. */
  call(api: 1 | 2, what: readonly [string, string], body?: unknown): Promise<Answer> {
    const given = { body, token: this.#token, boundMs: requestMs };
    return callApi(this.ports[`api-${api}`], what, given);
  }

  readonly #first: Call = (method, path, body) => this.call(1, [method, path], body);

  get token(): string {
    return this.#token;
  }

  state(podId: string, wanted: string, boundMs = 30_000): Promise<void> {
    return untilState(this.#first, [podId, wanted], { output: () => this.output, boundMs });
  }

  /** Creates a pod and waits until it is AVAILABLE. */
  pod(definition: PodDefinition): Promise<void> {
    return createPod(this.#first, definition, { output: () => this.output, boundMs: 30_000 });
  }

  /** One https request to a pod through one of the gateways. */
  request(
    gateway: 1 | 2,
    pod: string,
    { path = '/', ...options }: RequestOptions & { path?: string } = {},
  ): Promise<Reply> {
    const at = { port: this.ports[`https-${gateway}`], ca: this.#ca };
    const terms = { timeoutMs: requestMs, ...options };
    return httpsRequest({ host: `${pod}.pods.localhost`, path, ...at }, terms);
  }

  /** Cuts, or heals, what is between a program or a server and everybody else. */
  cut(name: ProgramName | Server): void {
    for (const cable of this.#cablesOf(name)) cable.cut();
  }

  heal(name: ProgramName | Server): void {
    for (const cable of this.#cablesOf(name)) cable.heal();
  }

  /** The controller that leads: whose pods' supervisors are not asked, but whose word counts. */
  async leader(): Promise<'controller-1' | 'controller-2'> {
    let found: 'controller-1' | 'controller-2' | undefined;
    await until(
      async () => {
        for (const name of ['controller-1', 'controller-2'] as const)
          if (await this.#leads(name)) found = name;
        return found !== undefined;
      },
      () => `nobody leads\n${this.output}`,
      30_000,
    );
    return found ?? 'controller-1';
  }

  async #leads(name: 'controller-1' | 'controller-2'): Promise<boolean> {
    try {
      const url = `http://127.0.0.1:${this.ports[`admin-${name}`]}/metrics`;
      const text = await (await fetch(url, { signal: AbortSignal.timeout(1_000) })).text();
      return /^podgate_controller_leads 1$/m.test(text);
    } catch {
      return false;
    }
  }

  /** What a gateway has on disk of its tables. */
  tablesOf(gateway: 'gateway-1' | 'gateway-2'): string {
    try {
      return readFileSync(join(this.#folder, gateway, 'gateway', 'tables.json'), 'utf8');
    } catch {
      return '';
    }
  }

  /** How the newest run of a pod is on record. */
  run(podId: string): { run: number; program: { pid: number } | null; end: unknown } {
    const file = join(this.podFolder(podId), 'run.json');
    return JSON.parse(readFileSync(file, 'utf8')) as ReturnType<TestCluster['run']>;
  }

  podFolder(podId: string): string {
    return join(podsPlace(this.#folder), 'pods', 'default', podId);
  }

  /** The supervisors of a pod's runs that live: more than one would mean that it was started twice. */
  supervisorsOf(podId: string): number[] {
    const folder = this.podFolder(podId);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
          return words.includes(folder) && words.some((word) => word.endsWith('shim/main.ts'));
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  async stop(): Promise<void> {
    for (const cable of this.#cables.values()) cable.heal();
    await this.supervisor.stop();
    for (const cable of this.#cables.values()) cable.close();
    await stopPods(this.#folder);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #cablesOf(name: string): Cable[] {
    return [...this.#cables]
      .filter(([ends]) => ends.split(' ').includes(name))
      .map(([, cable]) => cable);
  }
}
