import { randomBytes } from 'node:crypto';
import type { Random } from '#contracts/random.ts';

/** The operating system's randomness. */
export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  fraction: () => Math.random(),
};
