import { systemClock } from '#adapters/system/clock.ts';
import { Standalone } from '../../test/integration/standalone.ts';
import type { Bench } from '../bench.ts';
import { memoryBytes, treeOf } from '../machine/usage.ts';
import type { Row, Table } from '../results.ts';
import type { Question } from './question.ts';

const coldStarts = 5;
const livesUsual = 50;
const settleMs = 3_000;
const pollMs = 2;

/** A pod that answers with the time, in ms since the epoch, at which it began to listen. */
const pod = `
  let since;
  require('node:http')
    .createServer((request, response) => response.end(String(since)))
    .listen(process.env.PORT, '127.0.0.1', () => (since = Date.now()));
`;

/** The body of the first answer with this status. */
async function untilStatus(podgate: Standalone, host: string, status: number): Promise<string> {
  for (;;) {
    // A refused connection is an answer of a kind: not yet.
    const reply = await podgate.request(host, '/').catch(() => undefined);
    if (reply?.status === status) return String(reply.body);
    await systemClock.sleep(pollMs);
  }
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

interface Life {
  readonly created: number;
  readonly ready: number;
  readonly stopped: number;
}

async function life(podgate: Standalone, podId: string): Promise<Life> {
  const host = `${podId}.pods.localhost`;
  const command = [process.execPath, '-e', pod];
  let ready = NaN;
  const created = await timed(async () => {
    await podgate.call('POST', '/v3/pods', { pod_id: podId, image: 'podgate/process', command });
    const since = Number(await untilStatus(podgate, host, 200));
    ready = systemClock.nowMs() - since;
  });
  const stopped = await timed(async () => {
    await podgate.call('GET', `/v3/pods/${podId}/stop`);
    await untilStatus(podgate, host, 503);
  });
  await podgate.call('DELETE', `/v3/pods/${podId}`);
  return { created, ready, stopped };
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
  const lives: Life[] = [];
  for (let round = 0; round < count; round += 1) {
    lives.push(await life(podgate, `bench${round}`));
  }
  await stop();
  const rows = [
    row('cold start → demo pod answers over https', starts),
    row(
      'create → first https 200',
      lives.map(({ created }) => created),
    ),
    row(
      'pod listens → first https 200',
      lives.map(({ ready }) => ready),
    ),
    row(
      'stop → 503 at the edge',
      lives.map(({ stopped }) => stopped),
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
    'pods made and stopped through the API (process runtime), each seen from outside over https, on a new ' +
    'connection every few milliseconds.',
  tools: [],
  wholeMachine: true,
  run: async (bench, rounds = livesUsual) => measure(bench, rounds),
};
