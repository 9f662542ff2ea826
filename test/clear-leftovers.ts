import { Podman } from './programs/podman.ts';

/** Before tests of whole programs: a port that is free must be one that a program can be reached on. */
export const setup = (): Promise<void> => Podman.clearLeftovers();
