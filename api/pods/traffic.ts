import { z } from 'zod';
import type { DesiredPod } from '#contracts/pod.ts';
import type { NetworkTraffic, PodTraffic } from '#contracts/traffic.ts';
import { latencyBoundsSeconds, noTraffic } from '#contracts/traffic.ts';
import { timestamp, zTime } from '../times.ts';

/** What went through the gateway for a pod, as the wire shows it. */

const zCount = z.int().min(0);

const zLatency = z
  .strictObject({ p50: z.number(), p90: z.number(), p99: z.number() })
  .nullable()
  .describe('Milliseconds to the first byte of the answer, estimated from buckets; http only.');

const zNetworkTraffic = z.strictObject({
  requests: zCount.describe('Requests of HTTP, sessions of tcp and postgres.'),
  statuses: z
    .strictObject({ '1xx': zCount, '2xx': zCount, '3xx': zCount, '4xx': zCount, '5xx': zCount })
    .describe('Answers of HTTP by class, those of the gateway itself among them.'),
  bytes_in: zCount.describe('What clients sent.'),
  bytes_out: zCount.describe('What clients got.'),
  open: zCount.describe('Requests, tunnels and sessions under way.'),
  last_activity_ts: zTime,
  latency_ms: zLatency,
});

export const zTraffic = z.strictObject({
  since: zTime.describe('Counted since then: when the gateway started.'),
  networks: z.record(z.string().meta({ examples: ['default'] }), zNetworkTraffic),
});

/** Every network that the gateway serves is there, with zeros where nothing came. */
export function presentTraffic(pod: DesiredPod, traffic: PodTraffic): z.infer<typeof zTraffic> {
  const networks = Object.entries(pod.networking)
    .filter(([, { protocol }]) => protocol !== 'local_only')
    .map(([name]) => [name, presentNetwork(traffic.networks.get(name) ?? noTraffic)] as const);
  return { since: timestamp(traffic.sinceMs), networks: Object.fromEntries(networks) };
}

function presentNetwork(traffic: NetworkTraffic): z.infer<typeof zNetworkTraffic> {
  const [first, second, third, fourth, fifth] = traffic.statuses;
  return {
    requests: traffic.requests,
    statuses: { '1xx': first, '2xx': second, '3xx': third, '4xx': fourth, '5xx': fifth },
    bytes_in: traffic.bytesIn,
    bytes_out: traffic.bytesOut,
    open: traffic.open,
    last_activity_ts: timestamp(traffic.lastActivityMs),
    latency_ms: latencyOf(traffic.latencyCounts),
  };
}

function latencyOf(counts: readonly number[]): z.infer<typeof zLatency> {
  const at = (share: number): number => milliseconds(quantile(counts, share));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return total === 0 ? null : { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

const milliseconds = (seconds: number): number => Math.round(seconds * 1e6) / 1e3;

/**
 * Below which value in seconds that share lies, as Prometheus' `histogram_quantile` estimates it: evenly
 * spread within a bucket, and for the bucket without a bound the bound before it.
 */
export function quantile(counts: readonly number[], share: number): number {
  const wanted = share * counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  let lower = 0;
  for (const [index, upper] of latencyBoundsSeconds.entries()) {
    const count = counts[index] ?? 0;
    if (count > 0 && below + count >= wanted) {
      return lower + (upper - lower) * ((wanted - below) / count);
    }
    below += count;
    lower = upper;
  }
  return lower;
}
