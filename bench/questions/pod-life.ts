import { systemClock } from '#adapters/system/clock.ts';
import { Standalone } from '../../test/integration/standalone.ts';
import type { Bench } from '../bench.ts';
import { memoryBytes, treeOf } from '../machine/usage.ts';
import type { Row, Table } from '../results.ts';
import type { Question } from './question.ts';

const coldStarts = 5;
const lives = 50;
const settleMs = 3_000;
const pollMs = 2;

async function untilStatus(podgate: Standalone, host: string, status: number): Promise<void> {
  // A refused connection is an answer of a kind: not yet.
  const look = () => podgate.request(host, '/').catch(() => undefined);
  while ((await look())?.status !== status) await systemClock.sleep(pollMs);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function coldStart(bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const podgate = await Standalone.start();
  const stop = bench.atClose(async () => podgate.stopAndForget());
  await untilStatus(podgate, 'hello.pods.localhost', 200);
  const tookMs = performance.now() - startedMs;
  await stop();
  return tookMs;
}

async function life(podgate: Standalone, podId: string): Promise<readonly [number, number]> {
  const host = `${podId}.pods.localhost`;
  const created = await timed(async () => {
    await podgate.call('POST', '/v3/pods', { pod_id: podId, image: 'podgate/hello' });
    await untilStatus(podgate, host, 200);
  });
  const stopped = await timed(async () => {
    await podgate.call('GET', `/v3/pods/${podId}/stop`);
    await untilStatus(podgate, host, 503);
  });
  await podgate.call('DELETE', `/v3/pods/${podId}`);
  return [created, stopped];
}

const row = (subject: string, values: readonly number[]): Row => ({
  subject,
  samples: values.map((total) => ({ total })),
});

async function measure(bench: Bench, count: number): Promise<Table[]> {
  const starts: number[] = [];
  for (let round = 0; round < coldStarts; round += 1) starts.push(await coldStart(bench));
  const podgate = await Standalone.start();
  const stop = bench.atClose(async () => podgate.stopAndForget());
  await untilStatus(podgate, 'hello.pods.localhost', 200);
  await podgate.token();
  await systemClock.sleep(settleMs);
  const memory = memoryBytes(treeOf(podgate.child.pid ?? 0)) / 2 ** 20;
  const times: (readonly [number, number])[] = [];
  for (let round = 0; round < count; round += 1) {
    times.push(await life(podgate, `bench${round}`));
  }
  await stop();
  const rows = [
    row('cold start → demo pod answers over https', starts),
    row(
      'create → first https 200',
      times.map(([created]) => created),
    ),
    row(
      'stop → 503 at the edge',
      times.map(([, stopped]) => stopped),
    ),
  ];
  const idle = [row('main, 2 gateway workers, the demo pod with its shim', [memory])];
  return [
    { id: 'life', title: 'Waiting', unit: 'ms', rows, remarks: [], kind: 'trials' },
    { id: 'memory', title: 'Idle', unit: 'MiB (PSS)', rows: idle, remarks: [], kind: 'trials' },
  ];
}

export const podLife: Question = {
  name: 'pod-life',
  title: 'How long a person waits',
  about:
    'A whole standalone with two gateway workers on all cores, nothing pinned: start (after install), ' +
    'pods made and stopped through the API (process runtime), each seen from outside over https.',
  tools: [],
  wholeMachine: true,
  run: async (bench, rounds = lives) => measure(bench, rounds),
};
