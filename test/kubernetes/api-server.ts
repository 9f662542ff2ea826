import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { KubernetesApi } from '../../controller/runtime/kubernetes/api.ts';
import { debian } from '../programs/debian.ts';
import { freePorts } from '../programs/ports.ts';
import { endingWithUs } from './children.ts';
import { kubernetesProgram } from './programs.ts';

const startMs = 120_000;
const token = 'test-token';

/** A real kube-apiserver with a real etcd, and nothing else of Kubernetes, on free ports. */
export class ApiServer {
  readonly config: KubeConfig;
  readonly #folder: string;
  readonly #children: ChildProcess[];

  private constructor(config: KubeConfig, folder: string, children: ChildProcess[]) {
    this.config = config;
    this.#folder = folder;
    this.#children = children;
  }

  /** Built from source at first, which takes minutes; throws `Unavailable` where that is impossible. */
  static async start(): Promise<ApiServer> {
    const etcd = await debian('/usr/bin/etcd', 'etcd-server');
    const program = await kubernetesProgram('kube-apiserver');
    const folder = mkdtempSync(join(tmpdir(), 'podgate-apiserver-'));
    const [client = 0, peer = 0, secure = 0] = await freePorts(3);
    const store = startEtcd(etcd, folder, client, peer);
    const server = startServer(program, folder, client, secure);
    const config = configFor(`https://127.0.0.1:${secure}`, token);
    const started = new ApiServer(config, folder, [server, store]);
    try {
      await started.#ready(server);
      return started;
    } catch (error) {
      await started.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ready(server: ChildProcess): Promise<void> {
    const api = new KubernetesApi(this.config, { clock: systemClock, random: systemRandom });
    let said = '';
    server.stderr?.on(
      'data',
      (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)),
    );
    const deadlineMs = performance.now() + startMs;
    for (;;) {
      if (server.exitCode !== null) throw new Error(`kube-apiserver ended: ${said}`);
      try {
        await api.open({ method: 'GET', path: '/readyz' }, AbortSignal.timeout(5_000));
        await api.call({ method: 'GET', path: '/api/v1/namespaces/default' });
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await systemClock.sleep(200);
      }
    }
  }
}

function startEtcd(program: string, folder: string, client: number, peer: number): ChildProcess {
  const [clients, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const argv = [
    '--data-dir',
    join(folder, 'etcd'),
    '--unsafe-no-fsync',
    '--listen-client-urls',
    clients,
    '--advertise-client-urls',
    clients,
    '--listen-peer-urls',
    peers,
    '--initial-advertise-peer-urls',
    peers,
    '--initial-cluster',
    `default=${peers}`,
    '--log-level',
    'error',
  ];
  const [command, ...rest] = endingWithUs([program, ...argv]);
  return spawn(command, rest, { stdio: 'ignore' });
}

function startServer(
  program: string,
  folder: string,
  client: number,
  secure: number,
): ChildProcess {
  const key = join(folder, 'account.key');
  execFileSync('openssl', ['genrsa', '-out', key, '2048'], { stdio: 'ignore' });
  const tokens = join(folder, 'tokens.csv');
  writeFileSync(tokens, `${token},admin,admin,system:masters\nweak-token,weak,weak,\n`);
  const argv = [
    `--etcd-servers=http://127.0.0.1:${client}`,
    `--secure-port=${secure}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${join(folder, 'certificates')}`,
    `--token-auth-file=${tokens}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    '--service-account-issuer=https://podgate.test',
    // Without its controllers nobody makes accounts, and takes the taint off nodes that are ready.
    '--disable-admission-plugins=ServiceAccount,TaintNodesByCondition',
    '--kubelet-preferred-address-types=InternalIP',
    '--watch-cache=true',
  ];
  const [command, ...rest] = endingWithUs([program, ...argv]);
  return spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A configuration as a kubeconfig file gives it, for a server with a certificate of its own. */
export function configFor(server: string, as: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'test', server, skipTLSVerify: true },
    { name: 'test', token: as },
  );
  return config;
}
