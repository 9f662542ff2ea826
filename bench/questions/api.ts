import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import type { ApiReady } from '../api/main.ts';
import { Rest } from '../clients/rest.ts';
import { memoryBytes } from '../machine/usage.ts';
import type { Row, Sample } from '../results.ts';
import type { Question } from './question.ts';

const podsUsual = 10_000;
const atATime = 4;
const gets = 5_000;
const lists = 20;
const pages = 400;

/** Calls one after the other on connections that are kept, so many at a time; how long each took. */
async function trials(
  ready: ApiReady,
  count: number,
  call: (index: number) => {
    readonly method: string;
    readonly path: string;
    readonly body?: object;
  },
): Promise<Sample[]> {
  const rest = new Rest(ready, atATime);
  const samples: Sample[] = [];
  let next = 0;
  const caller = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const { method, path, body } = call(index);
      const startedMs = performance.now();
      await rest.call(method, path, body);
      samples.push({ total: performance.now() - startedMs });
    }
  };
  await Promise.all(Array.from({ length: atATime }, caller));
  rest.close();
  return samples;
}

const keptUsual = 500;

/** So many of them, evenly by rank with the first and the last: the report needs no more. */
function thinned(samples: readonly Sample[], kept = keptUsual): Sample[] {
  const sorted = samples.toSorted((a, b) => a.total - b.total);
  if (sorted.length <= kept) return sorted;
  const step = (sorted.length - 1) / (kept - 1);
  return Array.from(
    { length: kept },
    (_, rank) => sorted[Math.round(rank * step)] ?? sorted[0],
  ).filter((sample) => sample !== undefined);
}

const pod = (index: number) => ({
  pod_id: `pod${index}`,
  image: 'podgate/hello',
  status_requested: 'OFF',
});

export const api: Question = {
  name: 'api',
  title: 'The REST API on SQLite',
  about:
    `The api program alone, ${podsUsual.toLocaleString('en')} pods (not running), ${atATime} callers at a time on kept ` +
    'connections from the same machine, nothing pinned. A create is answered when it is on disk. Of many calls ' +
    `${keptUsual} are kept, evenly by rank.`,
  tools: [],
  wholeMachine: true,
  async run(bench: Bench, pods = podsUsual) {
    const folder = join(bench.folder, 'api');
    mkdirSync(folder);
    const child = fork(join(import.meta.dirname, '../api/main.ts'), [folder]);
    const stop = bench.atClose(async () => {
      child.kill();
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own program's message
    const [ready] = (await once(child, 'message')) as [ApiReady];
    const rows: Row[] = [];
    const rates: Row[] = [];
    const measure = async (subject: string, ...terms: [number, Parameters<typeof trials>[2]]) => {
      const startedMs = performance.now();
      const samples = await trials(ready, ...terms);
      const perSecond = (samples.length / (performance.now() - startedMs)) * 1000;
      rows.push({ subject, samples: thinned(samples) });
      rates.push({ subject, samples: [{ total: perSecond }] });
    };
    const pid = child.pid ?? 0;
    const before = memoryBytes([pid]) / 2 ** 20;
    await measure('create', pods, (index) => ({
      method: 'POST',
      path: '/v3/pods',
      body: pod(index),
    }));
    await measure('get', gets, (index) => ({ method: 'GET', path: `/v3/pods/pod${index % pods}` }));
    await measure('list, all', lists, () => ({ method: 'GET', path: '/v3/pods' }));
    const page = { method: 'GET', path: '/v3/pods?limit=50&sort=-creation_ts' };
    await measure('list, a page of 50 by time', pages, () => page);
    await measure('the same, every fourth call an edit', pages, (index) =>
      index % 4 === 0
        ? { method: 'PUT', path: `/v3/pods/pod${index}`, body: { description: `edit ${index}` } }
        : page,
    );
    const after = memoryBytes([pid]) / 2 ** 20;
    await stop();
    const memory = [
      { subject: 'without pods', samples: [{ total: before }] },
      { subject: `with ${pods} pods, after listing them`, samples: [{ total: after }] },
    ];
    return [
      { id: 'calls', title: 'Calls', unit: 'ms', rows, remarks: [], kind: 'trials' },
      {
        id: 'rates',
        title: 'How many',
        unit: 'a second',
        rows: rates,
        remarks: [],
        kind: 'trials',
      },
      {
        id: 'memory',
        title: 'Memory',
        unit: 'MiB (PSS)',
        rows: memory,
        remarks: [],
        kind: 'trials',
      },
    ];
  },
};
