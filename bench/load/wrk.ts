import type { Load } from './load.ts';

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

/** Reads what `wrk --latency` prints; throws when there is no result in it. */
export function parseWrk(out: string): Load {
  const run = /^\s*(\d+) requests in ([\d.]+)(ms|s|m),/m.exec(out);
  if (!run) throw new Error(`wrk printed no result: ${out.slice(-400)}`);
  const p99 = /^\s*99%\s+([\d.]+)(us|ms|s|m)$/m.exec(out);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(out);
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(out)?.[1] ?? 0);
  const broken = (sockets ?? []).slice(1).reduce((sum, count) => sum + Number(count), 0);
  return {
    units: Number(run[1]),
    seconds: (Number(run[2]) * (unitMs[run[3] ?? ''] ?? NaN)) / 1_000,
    p99Ms: p99 ? Number(p99[1]) * (unitMs[p99[2] ?? ''] ?? NaN) : undefined,
    errors: refused + broken,
  };
}

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: readonly string[];
  /** A file in Lua that says what is asked. */
  readonly script?: string;
}

export const wrkArguments = ({
  url,
  connections,
  seconds,
  headers = [],
  script,
}: WrkOptions): string[] => [
  '--latency',
  '-t1',
  `-c${connections}`,
  `-d${seconds}s`,
  ...headers.flatMap((header) => ['-H', header]),
  ...(script === undefined ? [] : ['-s', script]),
  url,
];
