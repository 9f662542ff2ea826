import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { createEngineRuntime } from '../../controller/runtime/engine/runtime.ts';
import type { Runtime } from '../../controller/runtime/runtime.ts';
import { exited, shellSpec } from '../conformance/runtime.ts';
import { Docker } from '../programs/docker.ts';
import type { Engine } from '../programs/images.ts';
import { copyBusybox, makeImage } from '../programs/images.ts';
import { Podman } from '../programs/podman.ts';
import { available } from '../programs/run.ts';

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const passwd = 'root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nworker:x:1000:1000::/:/bin/sh\n';
const wait = { timeout: 60_000, interval: 50 };

const engines: [string, Engine | undefined][] = [
  ['Podman', await available('users of images on Podman', () => Podman.start())],
  ['Docker', await available('users of images on Docker', () => Docker.start())],
];

/** An image of that user, whose list of users is a file, a link to one, or not there. */
async function makeImageOf(
  engine: Engine,
  user: string,
  list: 'file' | 'link' | 'none' = 'file',
): Promise<string> {
  const image = `localhost/of-${user}-${list}:1`;
  const folder = join(engine.folder, 'image');
  await copyBusybox(folder);
  mkdirSync(join(folder, 'etc'));
  if (list !== 'none')
    writeFileSync(join(folder, list === 'link' ? 'users' : 'etc/passwd'), passwd);
  if (list === 'link') symlinkSync('../users', join(folder, 'etc/passwd'));
  await makeImage(engine, image, folder, 'ENV PATH=/bin', `USER ${user}`);
  return image;
}

describe.each(engines)('users that images name, on %s', (_name, engine) => {
  if (!engine) return;
  const dataDir = mkdtempSync(join(tmpdir(), 'podgate-users-'));
  let runtime: Runtime;
  let runs = 0;

  beforeAll(async () => {
    const address = { socketPath: engine.socket };
    runtime = await createEngineRuntime({ clock: systemClock, log }, { address, dataDir });
  });
  afterAll(async () => {
    await runtime.stopAll(1_000);
    await engine.clean();
    await engine.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  async function whoRuns(image: string, root = false): Promise<string> {
    const privileges = { root, user: null, capabilities: [] };
    const key = `default/user${(runs += 1)}`;
    await runtime.start(shellSpec('id -u', { key, image, privileges }));
    return exited(runtime, wait, 1, key).then(({ end }) => end?.message ?? '');
  }

  test('root by another name is not root', async () => {
    const image = await makeImageOf(engine, 'toor');
    // The first time it is found out, the second it is known.
    for (let time = 0; time < 2; time += 1) expect(await whoRuns(image)).toBe('65532');
    expect(await whoRuns(image, true)).toBe('0');
    const linked = await makeImageOf(engine, 'toor', 'link');
    expect(await whoRuns(linked)).toBe('65532');
  });

  test('anybody else is who the image says', async () => {
    const image = await makeImageOf(engine, 'worker');
    expect(await whoRuns(image)).toBe('1000');
  });

  test('a user whom the image does not know is refused by name', async () => {
    const image = await makeImageOf(engine, 'stranger');
    expect(await whoRuns(image)).toContain('stranger');
    const none = await makeImageOf(engine, 'stranger', 'none');
    expect(await whoRuns(none)).toMatch(/of the user stranger, and has no \/etc\/passwd/);
  });
});
