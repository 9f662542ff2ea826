import { z } from 'zod';
import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import { desiredPods, podKey, podStatuses } from '#contracts/pod.ts';
import type { Store } from '#contracts/store.ts';
import type { Acting } from '../access/declared.ts';
import { allows, levelOf } from '../access/levels.ts';
import type { Listing, Wanted } from '../listing.ts';
import { listFields, pageOf } from '../listing.ts';
import { Mirror } from '../mirror.ts';
import { ownStatus, podState, saidFields, statusRequested } from './present.ts';
import type { PodRecords } from './records.ts';
import { zPod } from './schemas.ts';
import type { WirePod } from './schemas.ts';

/** A pod as it is stored. Only what is on a page is made into what the wire shows. */
export interface Entry {
  readonly pod: DesiredPod;
  readonly status: PodStatus | undefined;
}

const podListing: Listing<Entry> = {
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

/** Lists of pods, from what is kept of all. */
export class PodLists {
  readonly #records: PodRecords;
  readonly #pods: Mirror<DesiredPod, DesiredPod>;
  readonly #statuses: Mirror<PodStatus, PodStatus>;

  constructor(store: Store, records: PodRecords) {
    this.#records = records;
    this.#pods = new Mirror(desiredPods(store), listedPod);
    this.#statuses = new Mirror(podStatuses(store), listedStatus);
  }

  /** The pods are made one by one; damaged records are left out, and named in the metadata. */
  async list(
    caller: Acting,
    wanted: Wanted,
  ): Promise<{ pods: Iterable<WirePod>; metadata: () => Record<string, unknown> }> {
    const [desired, statuses] = await Promise.all([this.#pods.read(), this.#statuses.read()]);
    const damaged = new Set([...desired.broken, ...statuses.broken]);
    function* entries(): Generator<Entry> {
      for (const [id, pod] of desired.documents) {
        if (!damaged.has(id) && allows(levelOf(pod, caller), 'READ'))
          yield { pod, status: ownStatus(pod, statuses.documents.get(id)) };
      }
    }
    const { items, metadata } = pageOf(entries(), podListing, wanted);
    return {
      pods: this.#records.presentAll(items, caller, damaged),
      metadata: () => {
        const ours = [...damaged].filter((id) => id.startsWith(podKey(caller.tenant, '')));
        const warnings = ours.map((id) => `pod ${id} is left out: its record is damaged`);
        return { ...metadata, ...(warnings.length > 0 ? { warnings } : {}) };
      },
    };
  }
}

/** What lists need of a pod: not its history, nor all that its templates say. */
const listedPod = (pod: DesiredPod): DesiredPod => ({
  ...pod,
  actions: [],
  ...(pod.template ? { template: { ...pod.template, layers: [] } } : {}),
});

const listedStatus = (status: PodStatus): PodStatus => ({ ...status, actions: [] });
