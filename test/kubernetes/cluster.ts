import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { systemClock } from '#adapters/system/clock.ts';
import { Unavailable } from '../programs/run.ts';
import { ApiServer } from './api-server.ts';
import { endingWithUs } from './children.ts';
import { apiOf, hasNodes } from './conformance.ts';
import { podImage } from './node/image.ts';
import { RealNode } from './node/node.ts';
import { kubernetesProgram } from './programs.ts';

const readyMs = 90_000;
const tryMs = 60_000;

/** A cluster of real parts: API server with etcd, scheduler, and one node with kubelet and containerd. */
export class Cluster {
  readonly config: KubeConfig;
  /** As `PODGATE_TEST_POD_IMAGE` wants it; its node has it. */
  readonly image = podImage;
  readonly #api: ApiServer;
  readonly #node: RealNode;
  readonly #folder: string;
  readonly #scheduler: ChildProcess;

  private constructor(api: ApiServer, node: RealNode, scheduler: string) {
    this.config = api.config;
    this.#api = api;
    this.#node = node;
    this.#folder = mkdtempSync(join(tmpdir(), 'podgate-scheduler-'));
    const kubeconfig = join(this.#folder, 'kubeconfig');
    writeFileSync(kubeconfig, this.config.exportConfig());
    const argv = [`--kubeconfig=${kubeconfig}`, '--leader-elect=false', '--secure-port=0'];
    const [command, ...rest] = endingWithUs([scheduler, ...argv]);
    this.#scheduler = spawn(command, rest, { stdio: 'ignore' });
  }

  /** Its programs are built from source at first, which takes minutes; throws `Unavailable`. */
  static async start(): Promise<Cluster> {
    const kubelet = await kubernetesProgram('kubelet');
    const scheduler = await kubernetesProgram('kube-scheduler');
    const api = await ApiServer.start();
    let cluster: Cluster | undefined;
    try {
      const node = await RealNode.start(kubelet, api.config.exportConfig());
      cluster = new Cluster(api, node, scheduler);
      await cluster.#ready();
      await cluster.#tryOut();
      return cluster;
    } catch (error) {
      await (cluster ?? api).stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#node.stop();
    if (this.#scheduler.exitCode === null) {
      this.#scheduler.kill('SIGKILL');
      await once(this.#scheduler, 'exit');
    }
    await this.#api.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ready(): Promise<void> {
    const deadlineMs = performance.now() + readyMs;
    while (!(await hasNodes(apiOf(this.config)))) {
      if (performance.now() > deadlineMs)
        throw new Unavailable(`the kubelet does not get ready: ${this.#node.log}`);
      await systemClock.sleep(200);
    }
  }

  /** Kernels and sandboxes differ in what they allow; only trying tells. */
  async #tryOut(): Promise<void> {
    const api = apiOf(this.config);
    const pods = '/api/v1/namespaces/default/pods';
    const containers = [{ name: 'try', image: this.image, command: ['true'] }];
    const metadata = { name: 'try' };
    const body = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { restartPolicy: 'Never', containers },
    };
    await api.call({ method: 'POST', path: pods, body });
    const deadlineMs = performance.now() + tryMs;
    for (;;) {
      const { status } = zTried.parse(await api.call({ method: 'GET', path: `${pods}/try` }));
      if (status?.phase === 'Succeeded') break;
      if (performance.now() > deadlineMs)
        throw new Unavailable(`no pod runs here: ${JSON.stringify(status)} ${this.#node.log}`);
      await systemClock.sleep(100);
    }
    await api.call({ method: 'DELETE', path: `${pods}/try`, query: { gracePeriodSeconds: '0' } });
  }
}

const zTried = z.object({ status: z.looseObject({ phase: z.string().optional() }).optional() });
