import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { RouteBus, RouteEvent } from '#contracts/route.ts';
import type { TableChange } from './route-feed.ts';
import type { RouteRegister } from './route-register.ts';

export interface FollowingPorts {
  readonly routes: RouteBus;
  readonly register: RouteRegister;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** This gateway's name on the bus. */
  readonly gateway: string;
  /** The register has taken in this change. */
  changed(this: void, change: TableChange): void;
}

// A watch can die without a word; where no controller beats, following anew is cheap.
const silentMsMax = 20_000;
const pauseMsMin = 250;
// Soon enough for a bus that is back, and with jitter seldom enough for a fleet of gateways.
const pauseMsMax = 4_000;
const steadyMs = 10_000;

/**
 * Follows the bus until the signal aborts, and anew, after a pause with jitter, whenever it breaks, is
 * silent for long, or the register finds that something is missing. The old following is let go when
 * the new one has begun, so that the controller never takes the gateway for gone meanwhile.
 */
export async function followRoutes(ports: FollowingPorts, signal: AbortSignal): Promise<void> {
  const { clock, random, log, register } = ports;
  let current: AbortController | undefined;
  let pauseMs = pauseMsMin;
  while (!signal.aborted) {
    const next = new AbortController();
    const startedMs = clock.monotonicMs();
    const begun = (): void => {
      current?.abort();
      current = next;
    };
    const why = await followOnce(ports, AbortSignal.any([signal, next.signal]), begun);
    register.followed(false);
    if (signal.aborted) break;
    log.warn({ why }, 'following the routes anew');
    if (current !== next) next.abort();
    if (clock.monotonicMs() - startedMs > steadyMs) pauseMs = pauseMsMin;
    // Only the signal makes it reject.
    await clock.sleep(pauseMs * (0.5 + random.fraction()), signal).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, pauseMsMax);
  }
  current?.abort();
}

/** Returns why it ended; `begun` is called with the first event. Does not leave the bus. */
async function followOnce(
  { routes, register, clock, gateway, changed }: FollowingPorts,
  signal: AbortSignal,
  begun: () => void,
): Promise<string> {
  try {
    const events = routes.follow(gateway, signal)[Symbol.asyncIterator]();
    for (let first = true; ; first = false) {
      const event = await within(clock, events.next());
      if (event === undefined) return register.anew('nothing was heard').why;
      if (event.done) return 'the bus ended it';
      if (first) begun();
      register.followed(true);
      const heard = register.heard(event.value);
      if (heard.kind === 'changed') changed(heard.change);
      if (heard.kind === 'anew') return heard.why;
    }
  } catch (error) {
    return String(error);
  }
}

/** Undefined when it takes longer than a healthy bus is ever silent. */
async function within(
  clock: Clock,
  next: Promise<IteratorResult<RouteEvent, void>>,
): Promise<IteratorResult<RouteEvent, void> | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const cancel = clock.after(silentMsMax, () => resolve(undefined));
  try {
    return await Promise.race([next, late]);
  } finally {
    cancel();
  }
}
