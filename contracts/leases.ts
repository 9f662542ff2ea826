/**
 * Who may act: at most one holder per name at a time.
 *
 * A lease that is not renewed is free again `ttlMs` after it was last taken or renewed. `token`
 * grows with every new holder of a name and fences the writes of the old one (`Fence`).
 */
export interface Leases {
  /** The lease, or undefined while somebody else holds it. Taking one's own lease renews it. */
  acquire(name: string, holder: string, ttlMs: number): Promise<Lease | undefined>;
  /** False when it was lost meanwhile: the caller must stop at once. */
  renew(lease: Lease, ttlMs: number): Promise<boolean>;
  /** Frees it early; does nothing when it was lost. */
  release(lease: Lease): Promise<void>;
}

export interface Lease {
  readonly name: string;
  readonly holder: string;
  readonly token: number;
}
