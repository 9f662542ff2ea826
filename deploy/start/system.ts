import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { createLog } from '#adapters/system/log.ts';
import { systemRandom } from '#adapters/system/random.ts';

export interface System {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Time, chance and a log on stderr. */
export const openSystem = ({ level }: { readonly level: string }): System => ({
  clock: systemClock,
  random: systemRandom,
  log: createLog({ level, destination: 2 }),
});
