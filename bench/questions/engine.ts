import { Standalone, until } from '../../test/integration/standalone.ts';
import { busyboxImage, helloImage, makeHelloImage } from '../../test/programs/images.ts';
import { Podman } from '../../test/programs/podman.ts';
import { systemClock } from '#adapters/system/clock.ts';
import type { Bench } from '../bench.ts';
import type { Row, Table } from '../results.ts';
import type { Question } from './question.ts';

const livesUsual = 10;
const together = 100;
const pollMs = 5;
const waitMs = 100_000;
const port = 5000;
const resources = { cpu_request: 250, cpu_limit: 1000, mem_request: 256, mem_limit: 256 };

// The first process of a container ignores what it does not handle.
const script = `echo ok > /tmp/index.html; httpd -f -p ${port} -h /tmp & trap exit TERM; wait`;
const busybox = { image: busyboxImage, command: ['sh', '-c', script] };
const node = { image: helloImage };

const row = (subject: string, ...totals: readonly number[]): Row => ({
  subject,
  samples: totals.map((total) => ({ total })),
});

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function create(podgate: Standalone, podId: string, pod: object): Promise<void> {
  const body = { pod_id: podId, resources, ...pod };
  const { status, envelope } = await podgate.call('POST', '/v3/pods', body);
  if (status >= 300) throw new Error(`create: ${JSON.stringify(envelope)}`);
}

/** From the call until a client has an answer of the pod. */
async function life(podgate: Standalone, podId: string, pod: object): Promise<number> {
  const tookMs = await timed(async () => {
    await create(podgate, podId, pod);
    const answers = async (): Promise<boolean> => {
      // A refused connection is an answer of a kind: not yet.
      const reply = await podgate.request(`${podId}.pods.localhost`, '/').catch(() => undefined);
      return reply?.status === 200;
    };
    while (!(await answers())) await systemClock.sleep(pollMs);
  });
  await podgate.call('DELETE', `/v3/pods/${podId}`);
  await until(
    async () => (await podgate.call('GET', `/v3/pods/${podId}`)).status === 404,
    () => `${podId} does not go`,
    waitMs,
  );
  return tookMs;
}

/** The same container by the engine's own command, until it answers on its port. */
async function bare(podman: Podman): Promise<number> {
  const name = 'bare';
  const limits = ['-m', '256m', '--cpus', '1', '--cap-drop', 'all', '-u', '65532'];
  const argv = ['-d', '--name', name, '-p', `127.0.0.1::${port}`, ...limits, busyboxImage];
  const tookMs = await timed(async () => {
    await podman.run('run', ...argv, ...busybox.command);
    const url = `http://${(await podman.run('port', name, String(port))).trim()}/`;
    const answers = async (): Promise<boolean> =>
      fetch(url, { headers: { connection: 'close' } }).then(
        ({ ok }) => ok,
        () => false,
      );
    while (!(await answers())) await systemClock.sleep(pollMs);
  });
  await podman.run('rm', '-f', '-t', '0', name);
  return tookMs;
}

/** How long after the first call each of them was seen to be there. */
async function atOnce(podgate: Standalone): Promise<number[]> {
  const ids = Array.from({ length: together }, (_, index) => `many${index}`);
  const startedMs = performance.now();
  await Promise.all(ids.map((id) => create(podgate, id, busybox)));
  const waiting = new Set(ids);
  const seenMs: number[] = [];
  while (waiting.size > 0) {
    const { envelope } = await podgate.call('GET', '/v3/pods');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the api's own tests check it
    const pods = envelope.result as unknown as { pod_id: string; status: string }[];
    for (const { pod_id: id, status } of pods)
      if (status === 'AVAILABLE' && waiting.delete(id)) seenMs.push(performance.now() - startedMs);
    if (performance.now() - startedMs > waitMs) throw new Error(`${waiting.size} do not come`);
    await systemClock.sleep(50);
  }
  return seenMs;
}

async function measure(bench: Bench, count: number): Promise<Table[]> {
  const podman = await Podman.start();
  let podgate: Standalone | undefined;
  bench.atClose(async () => {
    await podgate?.stopAndForget();
    await podman.stop();
  });
  await makeHelloImage(podman);
  podgate = await Standalone.start({ env: { DOCKER_HOST: podman.host } });
  const list = ['busybox', 'hello'].map((name) => ({
    image: `localhost/${name}`,
    tenants: ['*'],
  }));
  await podgate.call('POST', '/v3/pods/images/bulk', list);
  await podgate.state('hello', 'AVAILABLE');
  const [light, heavy, without]: number[][] = [[], [], []];
  for (let round = 0; round < count; round += 1) {
    light?.push(await life(podgate, `light${round}`, busybox));
    without?.push(await bare(podman));
    heavy?.push(await life(podgate, `heavy${round}`, node));
  }
  const many = await atOnce(podgate);
  const rows = [
    row('busybox: create → first https 200', ...(light ?? [])),
    row('busybox: podman run → first http 200, without Podgate', ...(without ?? [])),
    row('Node: create → first https 200', ...(heavy ?? [])),
  ];
  const remarks = [`The last of them after ${(Math.max(...many) / 1_000).toFixed(1)} s.`];
  const manyRows = [row('busybox: first create → AVAILABLE, each', ...many)];
  return [
    { id: 'life', title: 'One pod', unit: 'ms', rows, remarks: [], kind: 'trials' },
    {
      id: 'many',
      title: `${together} pods at once`,
      unit: 'ms',
      rows: manyRows,
      remarks,
      kind: 'trials',
    },
  ];
}

export const engine: Question = {
  name: 'engine',
  title: 'Pods as containers',
  about:
    'A whole standalone with two gateway workers on Podman with runc, images present, nothing pinned: a pod is ' +
    'made through the API and asked for over https on a new connection every few milliseconds; then ' +
    `${together} at once, until the API says AVAILABLE of all.`,
  tools: ['podman'],
  wholeMachine: true,
  run: async (bench, rounds = livesUsual) => measure(bench, rounds),
};
