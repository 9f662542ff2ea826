import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { debian } from './debian.ts';
import { install } from './run.ts';

/** Builds a Go package, by default that in `folder`, with the modules pinned there; gives its path. */
export async function goProgram(name: string, folder: string, pkg = '.'): Promise<string> {
  const pins = readdirSync(folder)
    .filter((file) => /\.(go|mod|sum)$/.test(file))
    .map((file) => join(folder, file));
  const built = await cached(name, pins, async (making) => {
    const go = installedGo() ?? (await debian('/usr/bin/go', 'golang-go'));
    // The Go that is there, never one that it downloads for itself.
    const env = { GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly -buildvcs=false' };
    const argv = [go, 'build', '-o', join(making, name), pkg];
    await install(argv, { cwd: folder, env, timeoutMs: 600_000 });
  });
  return join(built, name);
}

function installedGo(): string | undefined {
  const places = (process.env['PATH'] ?? '').split(':').map((place) => join(place, 'go'));
  return places.find((place) => existsSync(place));
}
