import { defineConfig } from 'vitest/config';

/** Tests of whole programs: one file at a time, because they share two cores and measure waiting. */
const whole = (name: string, minutes: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    fileParallelism: false,
    globalSetup: 'test/clear-leftovers.ts',
    testTimeout: minutes * 60_000,
    hookTimeout: minutes * 60_000,
  },
});

// `npm test` runs unit and integration, `npm run test:long` the others.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['node_modules/**', 'test/{integration,long,faults,engine,clients,suites}/**'],
          // By default one core is left idle, of two; what these tests do is mostly to wait.
          maxWorkers: 2,
          // Hashing passwords is slow by design, and machines are shared.
          testTimeout: 30_000,
        },
      },
      whole('integration', 1),
      whole('long', 5),
      whole('faults', 10),
      whole('engine', 5),
      whole('clients', 2),
      whole('suites', 5),
    ],
  },
});
