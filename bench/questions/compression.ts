import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import { wrkLoad } from './http1.ts';
import type { Question } from './question.ts';

const bytes = 100 * 1024;

/** Prose, which compresses as pages do. */
function text(): string {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
  return readme.repeat(Math.ceil(bytes / readme.length)).slice(0, bytes);
}

export const compression: Question = {
  name: 'compression',
  title: 'HTTP/1.1, 100 KiB of text compressed with gzip',
  about:
    'wrk with 64 kept connections that accept gzip; level 5 at both. The only question with it on.',
  tools: ['nginx', 'wrk'],
  async run(bench, rounds = usual.rounds) {
    const upstreamPort = await bench.upstream({ text: text() });
    const policy = {
      compression: { codings: ['gzip' as const], excludedTypes: [], minBytes: 256 },
    };
    const subjects = await bench.gateways({ upstreamPort, route: { policy } });
    subjects.push(await bench.peer('nginx', { upstreamPort, gzip: true }));
    const terms = await negotiated(subjects, []);
    const load = wrkLoad(bench, '/text', ['Accept-Encoding: gzip']);
    const rows = await cpuPerUnit(subjects, { ...usual, rounds }, load);
    const unit = 'CPU µs per request';
    return [{ id: 'cpu', title: 'gzip', unit, rows, remarks: [terms] }];
  },
};
