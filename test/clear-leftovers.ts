import { clearNodes } from './kubernetes/node/leftovers.ts';
import { Podman } from './programs/podman.ts';

/** Before tests of whole programs: a port that is free must be one that a program can be reached on. */
export async function setup(): Promise<void> {
  await Podman.clearLeftovers();
  await clearNodes();
}
