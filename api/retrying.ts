import { WriteConflict } from '#contracts/store.ts';

const conflictRetriesMax = 5;

/** Tries again when somebody else wrote between our read and our write. */
export async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof WriteConflict) || tries === conflictRetriesMax) throw error;
    }
  }
}
