import { readdirSync, readFileSync } from 'node:fs';
import { Standalone } from '../../test/integration/standalone.ts';

/**
 * How long a person waits: start → demo pod, create → first https 200, stop → 503 at the edge; and
 * what an idle standalone with one pod takes of memory. `node bench/pod-life/main.ts`, about a minute.
 */

const rounds = 50;
const coldStarts = 5;

const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
const quantile = (values: readonly number[], q: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? NaN;

function row(name: string, values: readonly number[]): void {
  const [median, p99] = [quantile(values, 0.5), quantile(values, 0.99)];
  console.log(`| ${name} | ${median.toFixed(0)} | ${p99.toFixed(0)} | ${values.length} |`);
}

async function untilStatus(podgate: Standalone, host: string, status: number): Promise<void> {
  // A refused connection is an answer of a kind: not yet.
  const look = () => podgate.request(host, '/').catch(() => undefined);
  while ((await look())?.status !== status) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function coldStart(): Promise<number> {
  const startedMs = performance.now();
  const podgate = await Standalone.start();
  await untilStatus(podgate, 'hello.pods.localhost', 200);
  const tookMs = performance.now() - startedMs;
  await podgate.stopAndForget();
  return tookMs;
}

/** Proportional set size of a process and all below it, in MiB: shared pages are counted once. */
function treeMemory(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      parents.set(Number(name), Number(parent));
    } catch {
      // It ended while we looked.
    }
  }
  const below = (pid: number): boolean =>
    pid === root || (parents.has(pid) && below(parents.get(pid) ?? 0));
  let kib = 0;
  for (const pid of parents.keys()) {
    if (!below(pid)) continue;
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    kib += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]);
  }
  return kib / 1024;
}

console.log('| question | median ms | p99 ms | n |\n| --- | --- | --- | --- |');
const starts: number[] = [];
for (let round = 0; round < coldStarts; round += 1) starts.push(await coldStart());
row('cold start → demo pod answers over https', starts);

const podgate = await Standalone.start();
await untilStatus(podgate, 'hello.pods.localhost', 200);
await podgate.token();
await new Promise((resolve) => setTimeout(resolve, 3_000));
const memory = treeMemory(podgate.child.pid ?? 0);
const creates: number[] = [];
const stops: number[] = [];
for (let round = 0; round < rounds; round += 1) {
  const podId = `bench${round}`;
  const host = `${podId}.pods.localhost`;
  const create = { pod_id: podId, image: 'podgate/hello' };
  creates.push(
    await timed(async () => {
      await podgate.call('POST', '/v3/pods', create);
      await untilStatus(podgate, host, 200);
    }),
  );
  stops.push(
    await timed(async () => {
      await podgate.call('GET', `/v3/pods/${podId}/stop`);
      await untilStatus(podgate, host, 503);
    }),
  );
  await podgate.call('DELETE', `/v3/pods/${podId}`);
}
row('create → first https 200', creates);
row('stop → 503 at the edge', stops);
console.log(`\nIdle memory of the whole process tree: ${memory.toFixed(0)} MiB (PSS).`);
await podgate.stopAndForget();
