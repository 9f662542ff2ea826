import { parseArgs } from 'node:util';
import { isPlant, plants } from './plants.ts';
import { simulate } from './simulation.ts';

/**
 * Runs seeds one after the other: `node test/simulation/main.ts --first 1 --count 100 --step 1`. Prints one
 * line of JSON for each. `--trace` shows everything that happened; `--plant` plants a bug by its name.
 */
const { values } = parseArgs({
  options: {
    first: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    plant: { type: 'string', default: 'none' },
    trace: { type: 'boolean', default: false },
  },
});
const { plant, trace } = values;
if (!isPlant(plant)) throw new Error(`--plant is one of: ${Object.keys(plants).join(', ')}`);

for (let one = 0; one < Number(values.count); one += 1) {
  const seed = Number(values.first) + one * Number(values.step);
  const { trace: lines, ...outcome } = await simulate(seed, plants[plant], trace);
  for (const line of lines) console.log(line);
  console.log(JSON.stringify(outcome));
}
