import { expect, test } from 'vitest';
import type { Question } from '../questions/question.ts';
import type { Result, Table } from '../results.ts';
import { judge } from '../targets.ts';
import { plot } from './plot.ts';
import { writeReport } from './report.ts';
import { tableText, verdictText } from './text.ts';

const rounds = (subject: string, ...totals: readonly number[]) => ({
  subject,
  samples: totals.map((total) => ({ total, perSecond: 1_000 })),
});

const table: Table = {
  id: 'cpu',
  title: 'Small',
  unit: 'CPU µs per request',
  rows: [rounds('podgate', 20, 22, 21), rounds('nginx', 20, 20, 20), rounds('haproxy', 10, 40, 40)],
  remarks: ['All alike.'],
};

const target = {
  question: 'h1-small',
  table: 'cpu',
  bestOf: ['nginx', 'haproxy'],
  max: 1,
  words: 'as good as the best',
};

test('a ratio is judged by rounds, against the better by its median', () => {
  expect(judge(target, [table])).toMatchObject({ value: 1.05, met: false, against: 'nginx' });
  expect(judge({ ...target, max: 1.1 }, [table]).met).toBe(true);
});

test('a bound on a value is judged by the worst round', () => {
  const { bestOf: _bestOf, ...bound } = target;
  expect(judge({ ...bound, max: 21 }, [table])).toMatchObject({ value: 22, met: false });
  expect(judge({ ...bound, max: 22 }, [table]).met).toBe(true);
  const trials = {
    ...table,
    rows: [rounds('podgate', ...Array.from({ length: 100 }, (_, at) => at))],
  };
  expect(judge({ ...bound, metric: 'p99', max: 98 }, [trials])).toMatchObject({
    value: 98,
    met: true,
  });
});

test('a difference is judged in the unit of the table', () => {
  const verdict = judge({ ...target, difference: true, max: 2 }, [table]);
  expect(verdict).toMatchObject({ value: 1, met: true });
  expect(verdictText(verdict)).toContain('| 1.00 more than nginx | met |');
});

test('a target that was missed says by how much, one not measured stays open', () => {
  expect(verdictText(judge(target, [table]))).toBe(
    '| as good as the best | 1.05 × nginx | NOT MET, 5 % over |',
  );
  expect(verdictText(judge(target, []))).toBe('| as good as the best | not measured | OPEN |');
});

test('a table has medians with ranges, and ratios of the first row to each other', () => {
  const lines = tableText(table).split('\n');
  expect(lines[0]).toBe(
    '|  | CPU µs per request | podgate ÷ it, medians | per round | per second |',
  );
  expect(lines[2]).toBe('| podgate | 21.0 (20.0–22.0) |  |  | 1000 (1000–1000) |');
  expect(lines[3]).toContain('| nginx | 20.0 (20.0–20.0) | 1.05 | 1.05 (1.00–1.10) |');
  expect(lines.at(-1)).toBe('All alike.');
});

test('a table of trials compares nothing, and has its tail', () => {
  const text = tableText({ ...table, kind: 'trials', remarks: [] });
  expect(text.split('\n')[2]).toBe('| podgate | 21.0 (20.0–22.0) | 22.0 | 3 |');
});

test('a plot has a bar for every subject, and escapes what it is called', () => {
  const svg = plot({ ...table, title: 'a < b & c' });
  expect(svg.match(/<rect x=/g)).toHaveLength(3);
  expect(svg).toContain('a &#60; b &#38; c');
});

const question: Question = {
  name: 'h1-small',
  title: 'Small requests',
  about: 'How it is asked.',
  tools: [],
  run: async () => [],
};

const result: Result = {
  question: 'h1-small',
  takenAt: '2026-01-02T03:04:05.000Z',
  commit: 'abc1234',
  machine: 'a machine',
  versions: ['nginx 1'],
  othersBefore: 0.01,
  tookSeconds: 9,
  tables: [table],
};

test('the report has every question, asked or not, its notes, and every target', () => {
  const { report, plots } = writeReport({
    questions: [question, { ...question, name: 'h2', title: 'Never asked' }],
    results: new Map([['h1-small', result]]),
    notes: new Map([
      ['h1-small', 'Tried this.'],
      ['other', '## By hand'],
    ]),
  });
  for (const words of ['a machine', 'abc1234', 'Tried this.', '## By hand', '1.05 × nginx']) {
    expect(report).toContain(words);
  }
  expect(report).toMatch(/## Never asked\n[^]*Not measured yet\./);
  expect(report).not.toContain('Others worked');
  expect([...plots.keys()]).toEqual(['h1-small-cpu.svg']);
});

test('a machine that others used meanwhile is told first', () => {
  const busy = { ...result, othersBefore: 0.5 };
  const { report } = writeReport({
    questions: [question],
    results: new Map([['h1-small', busy]]),
    notes: new Map(),
  });
  expect(report).toContain('**Others worked on the machine meanwhile**: 1 of 1');
});
