import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { createEngineRuntime } from '../../controller/runtime/engine/runtime.ts';
import type { PlaceKind } from '../conformance/runtime.ts';
import { runtimeConforms } from '../conformance/runtime.ts';
import { Docker } from '../programs/docker.ts';
import type { Engine } from '../programs/images.ts';
import { busyboxImage, helloImage, makeBusyboxImage, makeHelloImage } from '../programs/images.ts';
import { Podman } from '../programs/podman.ts';
import { ImageRegistry } from '../programs/registry.ts';
import { available } from '../programs/run.ts';

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const registry = await available('pods as containers', () => ImageRegistry.start());
afterAll(() => registry?.stop());

const kind: PlaceKind = {
  images: { hello: helloImage, shell: busyboxImage, missing: `${registry?.server}/none:1` },
  onThisMachine: false,
  patienceMs: 60_000,
};

const engines: [string, Engine | undefined][] = [
  ['Podman', await available('pods on Podman', () => Podman.start())],
  ['Docker', await available('pods on Docker', () => Docker.start())],
];

describe.each(engines)('%s', (name, engine) => {
  if (!engine || !registry) return;
  beforeAll(async () => {
    await makeBusyboxImage(engine);
    await makeHelloImage(engine);
  });
  afterAll(() => engine.stop());

  runtimeConforms(`pods as containers of ${name}`, kind, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'podgate-engine-'));
    const address = { socketPath: engine.socket };
    return {
      open: () => createEngineRuntime({ clock: systemClock, log }, { address, dataDir }),
      async clean() {
        await engine.clean();
        await rm(dataDir, { recursive: true, force: true });
      },
    };
  });
});
