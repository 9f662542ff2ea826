import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import tls from 'node:tls';
import { freePorts as takePorts } from '../programs/ports.ts';
import type { Reply, RequestOptions } from './https-request.ts';
import { httpsRequest } from './https-request.ts';
import type { Answer, Envelope } from './rest-api.ts';
import { adminToken, callApi } from './rest-api.ts';

/** A started standalone as a user has one, on free ports and a data directory of its own. */

export const root = dirname(dirname(import.meta.dirname));

/** Of a machine that does much else; otherwise it is there within a second or two. */
const bannerMs = 60_000;

export interface Ports {
  readonly https: number;
  readonly http: number;
  readonly api: number;
  readonly admin: number;
}

export async function freePorts(): Promise<Ports> {
  const [https = 0, http = 0, api = 0, admin = 0] = await takePorts(4);
  return { https, http, api, admin };
}

export function makeDataDir(): string {
  return join(makeFolder(), 'data');
}

/** A folder that the user of pods may pass through, as it may an operator's data directory. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-'));
  chmodSync(folder, 0o711);
  return folder;
}

export function environment(ports: Ports, dataDir: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PODGATE_DATA_DIR: dataDir,
    PODGATE_HTTPS_PORT: String(ports.https),
    PODGATE_HTTP_PORT: String(ports.http),
    PODGATE_API_PORT: String(ports.api),
    PODGATE_ADMIN_PORT: String(ports.admin),
    PODGATE_GATEWAY_WORKERS: '2',
    // Whatever engine this machine has is not the test's.
    DOCKER_HOST: 'unix:///nowhere',
  };
}

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs the main program until it ends by itself, as with a bad setting. */
export async function runToEnd(env: NodeJS.ProcessEnv): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'deploy/standalone/main.ts')], { env });
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, output };
}

export class Standalone {
  readonly ports: Ports;
  readonly dataDir: string;
  readonly child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess, ports: Ports, dataDir: string) {
    this.child = child;
    this.ports = ports;
    this.dataDir = dataDir;
    child.stdout?.on('data', (chunk: Buffer) => (this.#output += chunk));
    child.stderr?.on('data', (chunk: Buffer) => (this.#output += chunk));
  }

  /** Starts it and waits for the banner. */
  static async start(
    options: { ports?: Ports; dataDir?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Standalone> {
    const ports = options.ports ?? (await freePorts());
    const dataDir = options.dataDir ?? makeDataDir();
    const child = spawn(process.execPath, [join(root, 'deploy/standalone/main.ts')], {
      env: { ...environment(ports, dataDir), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const standalone = new Standalone(child, ports, dataDir);
    await standalone.#banner();
    return standalone;
  }

  get output(): string {
    return this.#output;
  }

  get caFile(): string {
    return join(this.dataDir, 'ca.pem');
  }

  get ca(): string {
    return readFileSync(this.caFile, 'utf8');
  }

  get password(): string {
    return readFileSync(join(this.dataDir, 'admin-password'), 'utf8').trim();
  }

  async #banner(): Promise<void> {
    const begun = (): boolean =>
      this.#output.includes('Podgate is running') || this.child.exitCode !== null;
    await until(begun, () => `Podgate to run: ${this.#output}`, bannerMs);
    if (this.child.exitCode !== null) throw new Error(`did not start: ${this.#output}`);
  }

  /** A signal to the main process alone; resolves when it is gone. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    this.child.kill(signal);
    const [code] = (await once(this.child, 'exit')) as [number | null];
    return code;
  }

  async stopAndForget(): Promise<void> {
    await this.end();
    rmSync(dirname(this.dataDir), { recursive: true, force: true });
  }

  #token = '';

  /** A token for the admin, asked for once. */
  async token(): Promise<string> {
    if (this.#token) return this.#token;
    this.#token = await adminToken(this.ports.api, this.password);
    return this.#token;
  }

  /** One call of the REST API on its own port. `token` defaults to the admin's. */
  async call(method: string, path: string, body?: unknown, token?: string): Promise<Answer> {
    const credentials = token ?? (await this.token());
    return callApi(this.ports.api, [method, path], { body, token: credentials });
  }

  /** Creates a pod and waits until it is AVAILABLE. */
  pod(definition: PodDefinition, boundMs?: number): Promise<void> {
    return createPod(this.#call, definition, { output: () => this.#output, boundMs });
  }

  state(podId: string, wanted: string, boundMs?: number): Promise<void> {
    return untilState(this.#call, [podId, wanted], { output: () => this.#output, boundMs });
  }

  readonly #call: Call = (...given) => this.call(...given);

  /** The password of the pod's own account, which its environment had as `<<TAPIS_user_password>>`. */
  async podPassword(podId: string): Promise<string> {
    const { envelope } = await this.call('GET', `/v3/pods/${podId}/credentials`);
    return String(envelope.result['user_password']);
  }

  /** A TLS connection to the gateway by SNI; the name must be covered by a certificate of the CA. */
  connect(servername: string, alpn?: string[]): tls.TLSSocket {
    return tls.connect({
      host: '127.0.0.1',
      port: this.ports.https,
      servername,
      ca: this.ca,
      ...(alpn ? { ALPNProtocols: alpn } : {}),
    });
  }

  /** One https request to a host of the gateway. */
  request(host: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    return httpsRequest({ host, path, port: this.ports.https, ca: this.ca }, options);
  }
}

/** Waits for a condition with a bound; what it waited for is in the error. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  explain: () => string = () => String(condition),
  boundMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** As the admin. */
export type Call = (
  method: string,
  path: string,
  body?: unknown,
) => Promise<Pick<Answer, 'status' | 'envelope'>>;

/** What programs say of themselves, for the error of a wait in vain. */
interface Waiting {
  readonly output: () => string;
  readonly boundMs?: number | undefined;
}

/** Resolves when the pod's status is the wanted one. */
export async function untilState(
  call: Call,
  [podId, wanted]: readonly [string, string],
  { output, boundMs }: Waiting,
): Promise<void> {
  let last: Envelope | undefined;
  await until(
    async () => {
      last = (await call('GET', `/v3/pods/${podId}`)).envelope;
      return last.result?.status === wanted;
    },
    () => `${podId} is not ${wanted}: ${JSON.stringify(last)}\n${output()}`,
    boundMs,
  );
}

export type PodDefinition = { readonly pod_id: string } & Record<string, unknown>;

/** Creates a pod and waits until it is AVAILABLE. */
export async function createPod(
  call: Call,
  definition: PodDefinition,
  waiting: Waiting,
): Promise<void> {
  const { status, envelope } = await call('POST', '/v3/pods', definition);
  if (status >= 300) throw new Error(`create: ${JSON.stringify(envelope)}`);
  await untilState(call, [definition.pod_id, 'AVAILABLE'], waiting);
}

/** Process ids of the pods' programs, as their shims wrote them down. */
export function podPids(dataDir: string): number[] {
  const folder = join(dataDir, 'pods', 'default');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((pod) => {
    const file = join(folder, pod, 'run.json');
    if (!existsSync(file)) return [];
    const { program } = JSON.parse(readFileSync(file, 'utf8')) as { program?: { pid: number } };
    return program ? [program.pid] : [];
  });
}

/** Whether a process with this id exists (a zombie does not count). */
export function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
