import type { Address, Route } from '#contracts/route.ts';
import type { Identity } from './tls.ts';

/** What a worker must know before it serves; the parent sends it first. */
export interface WorkerTerms {
  readonly number: number;
  readonly domain: string;
  readonly publicHttpsPort: number;
  readonly httpPort: number;
  readonly api: Address;
  /** Session ticket keys are derived from it; the same in all workers. */
  readonly ticketMaster: Buffer;
}

interface RouteChanges {
  readonly puts: readonly Route[];
  readonly drops: readonly string[];
  readonly revision: number;
}

export type ToWorker =
  | { readonly kind: 'begin'; readonly terms: WorkerTerms; readonly wildcard: Identity | undefined }
  | ({ readonly kind: 'routes' } & RouteChanges)
  /** An answer to 'certificate-wanted'; undefined: the host has none of its own yet. */
  | { readonly kind: 'certificate'; readonly host: string; readonly identity: Identity | undefined }
  /** What was loaded for these hosts is out of date. */
  | { readonly kind: 'certificates-changed'; readonly hosts: readonly string[] }
  | { readonly kind: 'wildcard'; readonly identity: Identity }
  | { readonly kind: 'drain' };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'applied'; readonly revision: number }
  | { readonly kind: 'certificate-wanted'; readonly host: string };
