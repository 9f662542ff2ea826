import type { Clock } from '#contracts/clock.ts';
import type { RouteBucket } from './route-bucket.ts';
import { readBucket } from './bucket-reading.ts';
import { hostOf, jsonOf, metaKey } from './route-bucket.ts';

/** What the bucket has for a host. */
export interface Entry {
  readonly route: unknown;
  readonly revision: number;
}

/** The bucket's routes by host, up to a message that was the newest, and the revisions at which keys were removed. */
export async function readEntries(
  { line }: RouteBucket,
  terms: { readonly whole: number; readonly clock: Clock },
): Promise<{ readonly entries: Map<string, Entry>; readonly markers: readonly number[] }> {
  const entries = new Map<string, Entry>();
  const markers: number[] = [];
  for (const { key, revision, value } of await readBucket(line, { from: 1, ...terms })) {
    if (key === metaKey) continue;
    if (value) entries.set(hostOf(key), { route: jsonOf(value), revision });
    else markers.push(revision);
  }
  return { entries, markers };
}
