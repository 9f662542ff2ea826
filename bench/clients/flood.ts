import type { Load } from '../load/load.ts';

const together = 32;

/** Does a thing again and again, 32 at a time, for so long; prints a `Load` as JSON. */
export async function flood(one: () => Promise<boolean>, seconds: number): Promise<void> {
  const counts = { units: 0, errors: 0 };
  const endMs = performance.now() + seconds * 1_000;
  await Promise.all(
    Array.from({ length: together }, async () => {
      while (performance.now() < endMs) {
        if (await one()) counts.units += 1;
        else counts.errors += 1;
      }
    }),
  );
  const load: Load = { ...counts, seconds, p99Ms: undefined };
  console.log(JSON.stringify(load));
}
