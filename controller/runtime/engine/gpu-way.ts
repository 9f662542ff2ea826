import { z } from 'zod';

/**
 * How an engine is asked for GPUs. count: so many, of which Docker's driver for NVIDIA takes the first
 * ones. cdi: the first ones by their names in CDI. null: it cannot be asked.
 */
export type GpuWay = 'count' | 'cdi' | null;

/** Of devices in CDI. */
export const cdiKind = 'nvidia.com/gpu';

const zInfo = z.object({
  Runtimes: z.record(z.string(), z.unknown()).nullish(),
  CDISpecDirs: z.array(z.string()).nullish(),
  DiscoveredDevices: z.array(z.object({ ID: z.string() })).nullish(),
});

/** By what the engine says of itself, which need not be whether it has any. */
export function gpuWay(name: 'Docker' | 'Podman', version: string, info: unknown): GpuWay {
  if (name === 'Podman') return isBefore(version, 5, 4) ? null : 'cdi';
  const { data } = zInfo.safeParse(info);
  if (data?.Runtimes?.['nvidia']) return 'count';
  if (data?.DiscoveredDevices?.some(({ ID }) => ID.startsWith(`${cdiKind}=`))) return 'cdi';
  // Switched on by somebody; it does not tell devices yet. Later it is on everywhere.
  return isBefore(version, 28, 2) && data?.CDISpecDirs?.length ? 'cdi' : 'count';
}

function isBefore(version: string, major: number, minor: number): boolean {
  const [ofMajor = 0, ofMinor = 0] = version.split('.').map(Number);
  return ofMajor < major || (ofMajor === major && ofMinor < minor);
}
