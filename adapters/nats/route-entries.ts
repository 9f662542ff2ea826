import type { Clock } from '#contracts/clock.ts';
import type { RouteBucket } from './route-bucket.ts';
import { hostOf, jsonOf, metaKey, readBucket } from './route-bucket.ts';

/** What the bucket has for a host. */
export interface Entry {
  readonly route: unknown;
  readonly revision: number;
}

/** The bucket's routes by host, and the revisions at which keys were removed. */
export async function readEntries(
  bucket: RouteBucket,
  clock: Clock,
): Promise<{ readonly entries: Map<string, Entry>; readonly markers: readonly number[] }> {
  const entries = new Map<string, Entry>();
  const markers: number[] = [];
  await readBucket(bucket, { from: 1, clock }, ({ key, revision, value }) => {
    if (key === metaKey) return;
    if (value) entries.set(hostOf(key), { route: jsonOf(value), revision });
    else markers.push(revision);
  });
  return { entries, markers };
}
