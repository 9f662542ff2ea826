import type { Verdict } from '../targets.ts';
import { judge, targets } from '../targets.ts';
import type { Row, Sample, Table } from '../results.ts';
import { median, quantile, range, ratio } from './statistics.ts';

/** A number with about three digits that mean something. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : 2);
}

const trialColumns: readonly Column[] = [
  { head: () => 'p99', cell: (row) => figure(quantile(values(row, 'total'), 0.99)) },
  { head: () => 'n', cell: (row) => String(row.samples.length) },
];

type Metric = Exclude<keyof Sample, 'errors'>;

const values = (row: Row, metric: Metric): number[] =>
  row.samples.flatMap((sample) => sample[metric] ?? []);

function ranged(row: Row, metric: Metric): string {
  const all = values(row, metric);
  const [least, most] = range(all);
  return all.length === 0 ? '–' : `${figure(median(all))} (${figure(least)}–${figure(most)})`;
}

interface Column {
  readonly head: (own: Row) => string;
  readonly cell: (row: Row, own: Row) => string;
}

const columns: readonly (Column & { readonly metric?: Metric })[] = [
  { head: () => 'user', metric: 'user', cell: (row) => figure(median(values(row, 'user'))) },
  { head: () => 'system', metric: 'system', cell: (row) => figure(median(values(row, 'system'))) },
  {
    head: ({ subject }) => `${subject} ÷ it, medians`,
    cell: (row, own) =>
      row === own ? '' : figure(ratio(values(own, 'total'), values(row, 'total')).ofMedians),
  },
  { head: () => 'per round', cell: (row, own) => (row === own ? '' : perRound(own, row)) },
  { head: () => 'per second', metric: 'perSecond', cell: (row) => ranged(row, 'perSecond') },
  { head: () => 'p99 ms', metric: 'p99Ms', cell: (row) => ranged(row, 'p99Ms') },
  {
    head: () => 'others on the core',
    metric: 'others',
    cell: (row) => `${(median(values(row, 'others')) * 100).toFixed(0)} %`,
  },
];

function perRound(own: Row, row: Row): string {
  const { perRound: middle, perRoundRange } = ratio(values(own, 'total'), values(row, 'total'));
  return `${figure(middle)} (${figure(perRoundRange[0])}–${figure(perRoundRange[1])})`;
}

/** A table in Markdown: medians with ranges, the first row's ratios to the others. */
export function tableText(table: Table): string {
  const [own] = table.rows;
  if (!own) return '';
  const used =
    table.kind === 'trials'
      ? trialColumns
      : columns.filter(
          ({ metric }) => !metric || table.rows.some((row) => values(row, metric).length > 0),
        );
  const head = ['', table.unit, ...used.map(({ head: words }) => words(own))];
  const lines = table.rows.map((row) => [
    row.subject,
    ranged(row, 'total'),
    ...used.map(({ cell }) => cell(row, own)),
  ]);
  const text = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`);
  return [...text, ...table.remarks.map((remark) => `\n${remark}`)].join('\n');
}

/** A row of a table of targets; `question` is a cell of its own before it. */
export function verdictText({ target, value, met, against }: Verdict, question?: string): string {
  const { words: bare, max } = target;
  const words = question === undefined ? bare : `${question} | ${bare}`;
  if (Number.isNaN(value)) return `| ${words} | not measured | OPEN |`;
  const sign = target.difference ? 'more than' : '×';
  const told = against === undefined ? figure(value) : `${value.toFixed(2)} ${sign} ${against}`;
  const percent = (value / max - 1) * 100;
  const over = `NOT MET, ${percent < 1 ? 'less than 1' : percent.toFixed(0)} % over`;
  return `| ${words} | ${told} | ${met ? 'met' : over} |`;
}

/** The targets of a question with what became of them; empty when it has none. */
export function verdictsText(question: string, tables: readonly Table[]): string {
  const rows = targets
    .filter((target) => target.question === question)
    .map((target) => verdictText(judge(target, tables)));
  return rows.length === 0
    ? ''
    : ['| target | measured | |', '| --- | --- | --- |', ...rows].join('\n');
}
