import type { NetworkTraffic } from '#contracts/traffic.ts';
import { noTraffic } from '#contracts/traffic.ts';
import type { NetworkReport, Report } from '../gateway/observe/report.ts';

/** A network without traffic, with what matters to a test changed. */
export const exampleTraffic = (change: Partial<NetworkTraffic> = {}): NetworkTraffic => ({
  ...noTraffic,
  ...change,
});

/** A report of a worker at which nothing happened, with what matters to a test changed. */
export const exampleReport = (
  counts: Partial<Report['counts']> = {},
  change: Partial<Omit<Report, 'counts'>> = {},
): Report => ({
  counts: {
    connections: {},
    handshakes: {},
    requests: {},
    requestTiming: { counts: [], sumSeconds: 0 },
    firstByteTiming: { counts: [], sumSeconds: 0 },
    bytesIn: 0,
    bytesOut: 0,
    upstreamConnections: 0,
    upstreamErrors: {},
    limitsHit: {},
    cpuSeconds: 0,
    ...counts,
  },
  now: exampleNow(),
  networks: [],
  errors: [],
  ...change,
});

/** An idle worker. */
export const exampleNow = (change: Partial<Report['now']> = {}): Report['now'] => ({
  connections: 0,
  requests: 0,
  tunnels: 0,
  upstreamBusy: 0,
  upstreamIdle: 0,
  contexts: 0,
  residentBytes: 0,
  lag: { p50Seconds: 0, maxSeconds: 0 },
  ...change,
});

/** What a worker adds for a host at which nothing happened, with what matters to a test changed. */
export const exampleNetwork = (
  host: string,
  change: Partial<NetworkReport> = {},
): NetworkReport => {
  const { open: _open, ...nothing } = noTraffic;
  return { host, opened: 0, ...nothing, ...change };
};
