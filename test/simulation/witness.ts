import type { Route } from '#contracts/route.ts';
import type { Timeline } from './timeline.ts';

/** What a run of a simulation must never show; the names under which tests know them. */
export type Rule =
  | 'a route went back'
  | 'an older leader wrote'
  | 'somebody acted without the lease'
  | 'available without a gateway that serves it'
  | 'a pod was stopped before its route was out'
  | 'a run was started twice'
  | 'an accepted write was lost'
  | 'it does not settle'
  | 'an error nobody expects';

export interface Violation {
  readonly rule: Rule;
  readonly atMs: number;
  readonly detail: string;
}

/** Notes what goes wrong while a simulation runs. */
export class Witness {
  readonly violations: Violation[] = [];
  readonly #timeline: Timeline;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  accuse(rule: Rule, detail: string): void {
    const atMs = this.#timeline.elapsedMs;
    this.violations.push({ rule, atMs, detail });
    this.#timeline.note(`VIOLATION ${rule}: ${detail}`);
  }
}

/** A route in short: two that say the same are the same. */
export function gistOf(route: Route | undefined): string {
  if (!route) return 'none';
  const { protocol, state, message, upstream } = route;
  return `${protocol} ${state} ${upstream ? addressOf(upstream) : message}`;
}

export const addressOf = ({ host, port }: { host: string; port: number }): string =>
  `${host}:${port}`;
