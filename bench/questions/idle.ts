import { systemClock } from '#adapters/system/clock.ts';
import type { Bench, Subject } from '../bench.ts';
import { memoryBytes } from '../machine/usage.ts';
import type { Sample } from '../results.ts';
import type { Question } from './question.ts';

const connections = 4_000;
const warmup = 500;
const settleMs = 2_000; // what a handshake needed for a moment is given back

/** Connects once before, so that what only the first connections cost is not counted. */
async function perConnection(bench: Bench, subject: Subject): Promise<Sample> {
  const pids = subject.pids();
  await bench.processes.stop(await bench.held('idle.ts', [subject.port, warmup]));
  await systemClock.sleep(settleMs);
  const before = memoryBytes(pids);
  const client = await bench.held('idle.ts', [subject.port, connections]);
  await systemClock.sleep(settleMs);
  const after = memoryBytes(pids);
  await bench.processes.stop(client);
  return { total: (after - before) / 1024 / connections };
}

export const idle: Question = {
  name: 'idle',
  title: '4,000 idle TLS connections',
  about:
    'Connections that made one request and are kept. The figure is what the processes together hold more ' +
    '(PSS), by the number of connections; the kernel’s part is not in it. Each round starts everybody anew. ' +
    'The bare server is the least that one in Node can be: it looks at the first bytes, ends TLS, answers.',
  tools: ['nginx', 'haproxy'],
  async run(bench, rounds = 3) {
    const upstreamPort = await bench.upstream();
    const terms = { trustedProxies: ['127.0.0.1'] };
    const starts = [
      async () => bench.gateways({ upstreamPort, terms }),
      async () => [await bench.reference()],
      async () => [await bench.peer('nginx', { upstreamPort })],
      async () => [await bench.peer('haproxy', { upstreamPort })],
    ];
    const samples = new Map<string, Sample[]>();
    for (let round = 0; round < rounds; round += 1) {
      for (const start of starts) {
        for (const subject of await start()) {
          const taken = samples.get(subject.name) ?? [];
          samples.set(subject.name, [...taken, await perConnection(bench, subject)]);
          await bench.processes.stop(subject.child);
        }
      }
    }
    const rows = Array.from(samples, ([subject, taken]) => ({ subject, samples: taken }));
    return [{ id: 'memory', title: 'Memory', unit: 'KiB per connection', rows, remarks: [] }];
  },
};
