import { z } from 'zod';
import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import type { Listing } from '../listing.ts';
import { listFields } from '../listing.ts';
import { podState, saidFields, statusRequested } from './present.ts';
import { zPod } from './schemas.ts';

/** A pod as it is stored. Only what is on a page is made into what the wire shows. */
export interface Entry {
  readonly pod: DesiredPod;
  readonly status: PodStatus | undefined;
}

export const podListing: Listing<Entry> = {
  id: ({ pod }) => pod.podId,
  texts: ({ pod }) => [pod.podId, saidFields(pod).description],
  keys: {
    pod_id: ({ pod }) => pod.podId,
    image: ({ pod }) => saidFields(pod).image,
    template: ({ pod }) => saidFields(pod).template,
    status: ({ pod, status }) => podState(pod, status),
    status_requested: ({ pod, status }) => statusRequested(pod, status),
    creation_ts: ({ pod }) => pod.createdAtMs,
    update_ts: ({ pod }) => pod.updatedAtMs,
  },
};

export const zPodQuery = z.strictObject({
  ...listFields,
  status: zPod.shape.status.optional(),
  status_requested: zPod.shape.status_requested.optional(),
  image: z.string().optional(),
});
