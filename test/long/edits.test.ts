import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { editUnderLoad } from '../edits/edits.ts';

// A worker holds two descriptors for each of its tunnels, and chance may give it more than half.
const descriptors =
  Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' })) || Infinity;
const needed = 15_000;

test.skipIf(descriptors < needed)(
  `1,000 edits a second for a minute, over 10,000 tunnels (needs ${needed} open files)`,
  async () => {
    const outcome = await editUnderLoad({ tunnels: 5_000, perSecond: 1_000, seconds: 60 });
    const { edits, seconds, applyMs, clients } = outcome;
    process.stdout.write(
      `${edits} edits in ${seconds.toFixed(1)} s, applied after ${applyMs.median.toFixed(1)} ms ` +
        `(p99 ${applyMs.p99.toFixed(1)}, worst ${applyMs.worst.toFixed(1)}); ${clients.open} tunnels, ` +
        `${clients.answers} answers, ${clients.requests} requests\n`,
    );
    expect(clients.faults).toEqual([]);
    expect(clients.open).toBe(10_000);
    expect(clients.answers).toBeGreaterThanOrEqual(clients.open);
    expect(clients.requests).toBeGreaterThan(1_000);
    expect(edits).toBeGreaterThan(59_000);
  },
  300_000,
);
