import { join } from 'node:path';
import { expect } from 'vitest';

/** What a suite finds and why it is left so: the finding's name, then one justification. */
export type Known = Readonly<Record<string, string>>;

/**
 * Holds what a suite found against the list of what is known: anything new fails, and so does
 * anything that is known but not found any more, so that the list only shrinks.
 */
export function expectKnown(found: readonly string[], known: Known): void {
  expect(found.toSorted()).toEqual(Object.keys(known).toSorted());
}

/** Keeps a suite's result in the repository; `vitest --update` writes it anew when it changes. */
export async function keepResult(suite: string, lines: readonly string[]): Promise<void> {
  const file = join(import.meta.dirname, 'results', `${suite}.md`);
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(file);
}

/** A table of findings with their justifications. */
export const knownTable = (known: Known): string[] => [
  '| finding | why it is so |',
  '| --- | --- |',
  ...Object.entries(known).map(([finding, why]) => `| ${finding} | ${why} |`),
];
