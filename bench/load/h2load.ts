import { quantile } from '../report/statistics.ts';
import type { Load } from './load.ts';

/** Reads what h2load prints, and the log it writes of each request, for the tail. */
export function parseH2load(out: string, log: string): Load {
  const run = /^finished in ([\d.]+)(us|ms|s|m),/m.exec(out);
  const requests =
    /^requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m.exec(
      out,
    );
  if (!run || !requests) throw new Error(`h2load printed no result: ${out.slice(-400)}`);
  const [, succeeded = '0', ...bad] = requests;
  const scale = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[run[2] ?? ''] ?? NaN;
  const microseconds = Array.from(log.matchAll(/^\d+\t\d+\t(\d+)$/gm), ([, us]) => Number(us));
  return {
    units: Number(succeeded),
    seconds: Number(run[1]) * scale,
    p99Ms: microseconds.length > 0 ? quantile(microseconds, 0.99) / 1_000 : undefined,
    errors: bad.reduce((sum, count) => sum + Number(count), 0),
  };
}

export interface H2loadOptions {
  readonly url: string;
  /** A file of URLs to be asked in turn, instead of the one. */
  readonly urls?: string;
  /** Field lines beyond h2load's own. */
  readonly fields?: readonly string[];
  readonly clients: number;
  readonly streams: number;
  readonly seconds: number;
  readonly log: string;
}

export const h2loadArguments = (options: H2loadOptions): string[] => [
  '-t1',
  `-c${options.clients}`,
  `-m${options.streams}`,
  `-D${options.seconds}`,
  `--log-file=${options.log}`,
  ...(options.fields ?? []).map((field) => `--header=${field}`),
  ...(options.urls === undefined ? [options.url] : [`--input-file=${options.urls}`]),
];
