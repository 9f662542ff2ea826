/**
 * What lies where in Redis. All keys share one hash tag, so a cluster keeps them in one slot: the
 * version counts over all collections, and a script can only see to keys of one slot. A cluster
 * therefore gives Podgate failover, not more room.
 */
const prefix = '{podgate}:';

/** Sorted set: id by the version of its last change. */
export const versionsKey = (collection: string): string => `${prefix}versions:${collection}`;
/** Hash: id to version and JSON text, with a blank between. */
export const documentsKey = (collection: string): string => `${prefix}documents:${collection}`;
/** The newest version over all collections. */
export const newestKey = `${prefix}newest`;
/** Hash: collection to the version of its last removal. */
export const removalsKey = `${prefix}removals`;
/** Stream: every change by its version, with that of the change before. */
export const changesKey = `${prefix}changes`;
/** Hash: lease to the newest token that has written. */
export const fencesKey = `${prefix}fences`;
/** Token and holder, with a blank between; expires with the lease. */
export const leaseKey = (name: string): string => `${prefix}lease:${name}`;
/** Hash: lease to the newest token that was given. */
export const tokensKey = `${prefix}tokens`;

// About 100 bytes each. Who was away for longer looks at all documents instead.
export const changesKept = 100_000;
