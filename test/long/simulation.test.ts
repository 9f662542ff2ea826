import { expect, test } from 'vitest';
import type { PlantName } from '../simulation/plants.ts';
import { plants } from '../simulation/plants.ts';
import { runSeeds } from '../simulation/seeds.ts';
import type { Outcome } from '../simulation/simulation.ts';

/** Settings for people who look for more, or at one seed again. */
const only = Number(process.env['PODGATE_TEST_SEED'] ?? 0);
const first = only || 1;
const count = only ? 1 : Number(process.env['PODGATE_TEST_SEEDS'] ?? 1_000);
const plantedMax = 1_000;
/** Of those that fail so many are shown. */
const shownMax = 5;

const minutes = 60_000;

const shown = ({ seed, violations }: Outcome): string =>
  [
    `seed ${seed}: run it alone with PODGATE_TEST_SEED=${seed}, or see all of it with`,
    `node test/simulation/main.ts --first ${seed} --trace`,
    ...violations.map(({ rule, atMs, detail }) => `  ${atMs.toFixed(0)} ms: ${rule}: ${detail}`),
  ].join('\n');

test(
  `${count} seeds end as desired state asks, whatever failed`,
  async () => {
    const failed: string[] = [];
    const startedMs = performance.now();
    const ran = await runSeeds({
      first,
      count,
      plant: 'none',
      broke: (outcome) => failed.push(shown(outcome)) >= shownMax,
    });
    const seconds = (performance.now() - startedMs) / 1_000;
    process.stdout.write(`${ran} seeds in ${seconds.toFixed(1)} s\n`);
    expect(failed.join('\n')).toBe('');
    expect(ran).toBe(count);
  },
  Math.max(10, count / 100) * minutes,
);

const planted = Object.keys(plants).filter((name): name is PlantName => name !== 'none');

test.skipIf(only > 0).each(planted)(
  `planted, "%s" is found within ${plantedMax} seeds`,
  async (plant) => {
    const rules: readonly string[] = plants[plant].breaks;
    let found: Outcome | undefined;
    await runSeeds({
      first: 1,
      count: plantedMax,
      plant,
      broke: (outcome) => {
        if (!outcome.violations.some(({ rule }) => rules.includes(rule))) return false;
        found = outcome;
        return true;
      },
    });
    expect(found, 'no seed shows it').toBeDefined();
    process.stdout.write(`${plant}: seed ${found?.seed}\n`);
  },
  10 * minutes,
);
