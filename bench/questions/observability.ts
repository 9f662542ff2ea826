import { join } from 'node:path';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import type { Row } from '../results.ts';
import { wrkLoad } from './http1.ts';
import type { Question } from './question.ts';

/** What each round of `other` cost more than the same round of `plain`. */
const moreThan = (plain: Row, other: Row): Row => ({
  subject: other.subject,
  samples: other.samples.map(({ total }, round) => ({
    total: total - (plain.samples[round]?.total ?? NaN),
  })),
});

const uncounted = 'podgate without metrics';

export const observability: Question = {
  name: 'observability',
  title: 'What looking on costs',
  about:
    'As HTTP/1.1 small. Both without a log and with one line of JSON per request (nginx 15 fields, we 23, ' +
    'buffered), into a file. Without metrics: the methods that count a request are empty.',
  tools: ['nginx', 'wrk'],
  async run(bench, rounds = usual.rounds) {
    const upstreamPort = await bench.upstream();
    const subjects = [
      ...(await bench.gateways({ upstreamPort })),
      ...(await bench.gateways({ upstreamPort, name: uncounted, uncounted: true })),
      ...(await bench.gateways({
        upstreamPort,
        name: 'podgate, log of errors',
        terms: { accessLog: 'errors', accessLogFile: join(bench.folder, 'errors.log') },
      })),
      ...(await bench.gateways({
        upstreamPort,
        name: 'podgate, log of all',
        terms: { accessLog: 'all', accessLogFile: join(bench.folder, 'all.log') },
      })),
      await bench.peer('nginx', { upstreamPort }),
      await bench.peer('nginx', { upstreamPort, accessLog: true, name: 'nginx, JSON log' }),
    ];
    const terms = await negotiated(subjects, []);
    const rows = await cpuPerUnit(subjects, { ...usual, rounds }, wrkLoad(bench, '/'));
    const find = (name: string): Row => {
      const row = rows.find(({ subject }) => subject === name);
      if (!row) throw new Error(`${name} was not measured`);
      return row;
    };
    const unit = 'CPU µs per request';
    return [
      { id: 'cpu', title: 'Requests', unit, rows, remarks: [terms] },
      {
        id: 'metrics',
        title: 'Counting',
        unit,
        rows: [find('podgate'), find(uncounted)],
        remarks: [],
      },
      {
        id: 'log',
        title: 'The log alone',
        unit: `${unit} more than without, round by round`,
        rows: [
          moreThan(find('podgate'), find('podgate, log of errors')),
          moreThan(find('podgate'), find('podgate, log of all')),
          moreThan(find('nginx'), find('nginx, JSON log')),
        ],
        remarks: [],
        kind: 'trials',
      },
    ];
  },
};
