import { z } from 'zod';
import type { RunNote } from '../runtime.ts';

const zEvent = z.object({
  metadata: z.object({ uid: z.string(), creationTimestamp: z.string().nullish() }),
  involvedObject: z.object({ uid: z.string().optional() }),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
});

// A line of the action log; schedulers of large clusters are wordy.
const textMax = 500;

/** What a Kubernetes Event says of a Pod; undefined: it says nothing. */
export function readEvent(
  object: unknown,
): { readonly uid: string; readonly id: string; readonly note: RunNote } | undefined {
  const { data } = zEvent.safeParse(object);
  const uid = data?.involvedObject.uid;
  if (!data || uid === undefined) return undefined;
  const at = data.lastTimestamp ?? data.eventTime ?? data.metadata.creationTimestamp ?? '';
  const words = `${data.reason ?? ''}: ${data.message ?? ''}`.replaceAll(/\s+/g, ' ');
  const note = { atMs: Date.parse(at) || 0, text: words.slice(0, textMax) };
  return { uid, id: data.metadata.uid, note };
}
