import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { createEngineRuntime } from '../../controller/runtime/engine/runtime.ts';
import type { Observed, Runtime } from '../../controller/runtime/runtime.ts';
import { exited, shellSpec } from '../conformance/runtime.ts';
import { startDebian13 } from '../programs/debian13-engines.ts';
import { Docker } from '../programs/docker.ts';
import type { Engine } from '../programs/images.ts';
import { busyboxImage, makeBusyboxImage } from '../programs/images.ts';
import { available } from '../programs/run.ts';

/** No GPU is here: two devices by its names that are `/dev/null`, handed out in the ways of real ones. */
const gpus = [0, 1];
const nvidia = {
  cdiVersion: '0.5.0',
  kind: 'nvidia.com/gpu',
  devices: gpus.map((gpu) => ({
    name: String(gpu),
    containerEdits: { deviceNodes: [{ path: `/dev/nvidia${gpu}`, hostPath: '/dev/null' }] },
  })),
};
const noDevices = { cdiVersion: '0.5.0', kind: 'example.com/none', devices: nvidia.devices };

/** Makes in the container the devices that its environment names, as NVIDIA's does before it begins. */
const hook = `#!/bin/sh
state=$(cat)
field() { printf '%s' "$state" | sed -n "s/.*\\"$1\\":\\"*\\([^\\",}]*\\).*/\\1/p"; }
bundle=$(field bundle)
visible=$(grep -o 'NVIDIA_VISIBLE_DEVICES=[^"]*' "$bundle/config.json" | tail -n 1)
rootfs=$(sed -n 's/.*"root":{"path":"\\([^"]*\\)".*/\\1/p' "$bundle/config.json")
for gpu in $(printf '%s' "\${visible#*=}" | tr , ' '); do
  [ "$gpu" -lt ${gpus.length} ] || { echo "nvidia-container-cli: device error: $gpu: unknown device" >&2; exit 1; }
  nsenter -t "$(field pid)" -m mknod -m 666 "$rootfs/dev/nvidia$gpu" c 1 3 || exit 1
done
`;

async function dockerWithHook(): Promise<Engine> {
  const programs = mkdtempSync(join(tmpdir(), 'podgate-hook-'));
  writeFileSync(join(programs, 'nvidia-container-runtime-hook'), hook);
  chmodSync(join(programs, 'nvidia-container-runtime-hook'), 0o755);
  afterAll(() => rmSync(programs, { recursive: true, force: true }));
  return Docker.start(programs);
}

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const named = async (
  name: string,
  start: () => Promise<Engine>,
): Promise<[string, Engine | undefined]> => [name, await available(`GPUs of ${name}`, start)];

const having = [
  await named("Debian 12's Docker with a stand-in for NVIDIA's hook", dockerWithHook),
  await named("Debian 13's Docker with stand-in CDI devices", () =>
    startDebian13('Docker', nvidia),
  ),
  await named("Debian 13's Podman with stand-in CDI devices", () =>
    startDebian13('Podman', nvidia),
  ),
];
const without = [
  await named("Debian 12's Docker as it comes", () => Docker.start()),
  await named("Debian 13's Docker with CDI but no GPUs", () => startDebian13('Docker', noDevices)),
  await named("Debian 13's Podman without GPUs", () => startDebian13('Podman', noDevices)),
];

const script = `for each in /dev/nvidia*; do
  test -c $each && echo unseen > $each && echo "has $each"
done
echo that is all`;

/** Runs a pod to its end; gives how it ended and what it printed. */
async function run(engine: Engine, count: number): Promise<[Observed, string]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'podgate-gpus-'));
  const terms = { address: { socketPath: engine.socket }, dataDir };
  const runtime: Runtime = await createEngineRuntime({ clock: systemClock, log }, terms);
  try {
    const spec = shellSpec(script, { image: busyboxImage });
    await runtime.start({ ...spec, resources: { ...spec.resources, gpus: count } });
    const seen = await exited(runtime, { timeout: 60_000, interval: 100 });
    return [seen, await runtime.logs(spec.key)];
  } finally {
    await runtime.stopAll(5_000);
    await engine.clean();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function givesGpus(name: string, engine: Engine): void {
  beforeAll(() => makeBusyboxImage(engine));
  afterAll(() => engine.stop());
  const has = having.some(([each]) => each === name) ? gpus : [];

  test.each([0, 1, 2, 3])(
    'a pod that wants %i gets them, or is told that there are not so many',
    async (count) => {
      const [seen, output] = await run(engine, count);
      if (count <= has.length) {
        const want = has.slice(0, count).map((gpu) => `has /dev/nvidia${gpu}\n`);
        expect([output, seen.end?.message]).toEqual([
          `${want.join('')}that is all\n`,
          expect.anything(),
        ]);
        expect(seen.end).toMatchObject({ by: 'itself', exitCode: 0 });
      } else {
        expect(seen.end).toMatchObject({
          by: 'refused',
          message: expect.stringMatching(
            `^resources.gpus is ${count}, and (?:Docker|Podman) has not so many here: `,
          ) as unknown,
        });
      }
    },
  );
}

// `available` says loudly which cannot be had here.
for (const [name, engine] of [...having, ...without])
  describe.skipIf(!engine)(name, () => engine && givesGpus(name, engine));
