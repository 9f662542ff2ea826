/**
 * What an authority lets us have, as token buckets that are refilled at its own rate. Pure.
 */
export interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

export interface Limit {
  readonly size: number;
  /** One more token each. */
  readonly refillMs: number;
}

/** Undefined: no such limit is known. */
export interface Limits {
  readonly orders: Limit | undefined;
  /** New certificates of one registered domain. */
  readonly certificates: Limit | undefined;
  /** Certificates of exactly the same hosts. */
  readonly sameHosts: Limit | undefined;
  /** Whether another order for the hosts of a certificate counts as an order; else `sameHosts` alone. */
  readonly renewalsCount: boolean;
}

const hourMs = 60 * 60 * 1000;
const minuteMs = 60 * 1000;

/** Of Let's Encrypt, as published in 2026 (https://letsencrypt.org/docs/rate-limits/). */
export const letsEncryptLimits: Limits = {
  orders: { size: 300, refillMs: 36_000 },
  certificates: { size: 50, refillMs: 202 * minuteMs },
  sameHosts: { size: 5, refillMs: 34 * hourMs },
  renewalsCount: false,
};

export const noLimits: Limits = {
  orders: undefined,
  certificates: undefined,
  sameHosts: undefined,
  renewalsCount: true,
};

/** Kept for what cannot wait: certificates that are about to end. */
const reserveShare = 0.1;

/** Full at first. */
export function refilled(bucket: Bucket | undefined, limit: Limit, nowMs: number): Bucket {
  if (!bucket) return { tokens: limit.size, atMs: nowMs };
  const passedMs = Math.max(0, nowMs - bucket.atMs);
  return { tokens: Math.min(limit.size, bucket.tokens + passedMs / limit.refillMs), atMs: nowMs };
}

/** When `needed` tokens are there, were nobody else to take any. */
export const enoughAtMs = (bucket: Bucket, limit: Limit, needed: number): number =>
  bucket.atMs + Math.ceil(Math.max(0, needed - bucket.tokens) * limit.refillMs);

/** What an order counts against. */
export interface Charge {
  /** It may take what is kept for emergencies. */
  readonly urgent: boolean;
  /** It names the certificate that it replaces, in its window: authorities do not count those at all. */
  readonly exempt: boolean;
  /** The same hosts had a certificate: it is no new one for the domain. */
  readonly renewal: boolean;
}

export interface Account {
  readonly orders?: Bucket | undefined;
  readonly certificates?: Bucket | undefined;
}

/** The account after an order was charged, or when there is enough for it. */
export function charge(
  account: Account,
  limits: Limits,
  what: Charge,
  nowMs: number,
): { readonly account: Account } | { readonly waitUntilMs: number } {
  if (what.exempt || (what.renewal && !limits.renewalsCount)) return { account };
  const orders = take(account.orders, limits.orders, what.urgent, nowMs);
  // Renewals of the same set are not held to the limit of the domain.
  const counted = what.renewal ? undefined : limits.certificates;
  const taken = take(account.certificates, counted, what.urgent, nowMs);
  const waitUntilMs = Math.max(orders.waitUntilMs ?? 0, taken.waitUntilMs ?? 0);
  if (waitUntilMs > 0) return { waitUntilMs };
  return { account: { orders: orders.bucket, certificates: taken.bucket } };
}

function take(
  bucket: Bucket | undefined,
  limit: Limit | undefined,
  urgent: boolean,
  nowMs: number,
): { bucket: Bucket | undefined; waitUntilMs?: number } {
  if (!limit) return { bucket };
  const now = refilled(bucket, limit, nowMs);
  const needed = 1 + (urgent ? 0 : Math.floor(limit.size * reserveShare));
  if (now.tokens + 1e-9 >= needed)
    return { bucket: { tokens: Math.max(0, now.tokens - 1), atMs: nowMs } };
  return { bucket, waitUntilMs: Math.max(nowMs + 1, enoughAtMs(now, limit, needed)) };
}
