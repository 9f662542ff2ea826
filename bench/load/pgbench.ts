import type { Load } from './load.ts';

/** Prepared selects of one row on connections that are kept. */
export const pgbenchArguments = (
  connections: number,
  seconds: number,
  where: string,
): readonly string[] => {
  const flags = ['-n', '-S', '-M', 'prepared', '-j', '1'];
  return [...flags, '-c', String(connections), '-T', String(seconds), where];
};

/** Reads what pgbench prints; it tells an average latency only. */
export function parsePgbench(out: string): Omit<Load, 'seconds'> {
  const done = /^number of transactions actually processed: (\d+)/m.exec(out);
  const failed = /^number of failed transactions: (\d+)/m.exec(out);
  if (!done) throw new Error(`pgbench printed no result: ${out.slice(-400)}`);
  return { units: Number(done[1]), p99Ms: undefined, errors: Number(failed?.[1] ?? 0) };
}
