import { WriteConflict } from '#contracts/store.ts';

const conflictRetriesMax = 5;

/** Tries again, up to `triesMax` in all, when somebody else wrote between our read and our write. */
export async function retrying<T>(
  attempt: () => Promise<T>,
  triesMax = conflictRetriesMax,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof WriteConflict) || tries >= triesMax) throw error;
    }
  }
}
