import type { ApiSettings } from '../../ports.ts';
import { containerSeeds } from './containers.ts';
import { hello, processSeeds } from './processes.ts';
import type { Seed } from './seed.ts';

/** The templates whose images can be run here: engines have our example program beside them, clusters not. */
export function seedsFor({
  runtime,
  publicHttpsPort,
  programs,
}: Pick<ApiSettings, 'runtime' | 'publicHttpsPort' | 'programs'>): readonly Seed[] {
  switch (runtime) {
    case 'kubernetes':
      return containerSeeds(publicHttpsPort);
    case 'engine':
      return [hello, ...containerSeeds(publicHttpsPort)];
    case 'auto':
    case 'process':
      return processSeeds(programs, publicHttpsPort);
  }
}
