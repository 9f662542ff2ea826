import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root, until } from '../integration/standalone.ts';
import { emulateArm64 } from '../programs/emulation.ts';
import { makeArm64NodeImage, makeNodeImage, ownArchitecture } from '../programs/node-image.ts';
import { Podman } from '../programs/podman.ts';
import { ImageRegistry } from '../programs/registry.ts';
import { available, Unavailable } from '../programs/run.ts';

const list = 'localhost/podgate:test';
const noNpm = /npm error (?:code|network).*(?:E(?:AI_AGAIN|CONN|NOTFOUND|TIMEDOUT)|network)/s;

const made = await available('the Dockerfile', make);
afterAll(async () => {
  await made?.engine.stop();
  await made?.registry.stop();
  await made?.endEmulation?.();
});

async function make() {
  const engine = await Podman.start();
  try {
    await makeNodeImage(engine);
    const other = await available('the Dockerfile for arm64', () => makeArm64NodeImage(engine));
    const architectures = other ? [ownArchitecture, other] : [ownArchitecture];
    const registry = await build(engine, architectures);
    // Only now, so that building has to do without.
    const endEmulation = other ? await available('the image on arm64', emulateArm64) : undefined;
    return { engine, registry, architectures, endEmulation };
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

/** As the Dockerfile's first lines say, with the base images made here, to a registry. */
async function build(engine: Podman, architectures: readonly string[]): Promise<ImageRegistry> {
  const file = join(root, 'deploy/docker/Dockerfile');
  const platforms = architectures.map((each) => `linux/${each}`).join(',');
  const argv = ['--platform', platforms, '--build-arg', `BUILDPLATFORM=linux/${ownArchitecture}`];
  const registry = await ImageRegistry.start();
  try {
    await engine.run('build', '--network', 'host', ...argv, '-f', file, '--manifest', list, root);
    await engine.run('manifest', 'push', '--all', list, `docker://${registry.server}/podgate`);
    return registry;
  } catch (error) {
    await registry.stop();
    if (noNpm.test(String(error)))
      throw new Unavailable(`npm's registry cannot be reached: ${String(error)}`);
    throw error;
  }
}

const ask = async (...argv: readonly string[]): Promise<string> =>
  ((await made?.engine.run(...argv)) ?? '').trim();
const inspect = (what: string, format: string): Promise<string> =>
  ask('inspect', what, '-f', format);
/** Gives the image's id. */
const pull = (architecture: string): Promise<string> =>
  ask('pull', '-q', '--platform', `linux/${architecture}`, `${made?.registry.server}/podgate`);

test.skipIf(!made).each(made?.architectures ?? [ownArchitecture])(
  'who pulls the image on %s gets the one of that platform',
  async (architecture) => {
    expect(await inspect(await pull(architecture), '{{.Architecture}}')).toBe(architecture);
  },
);

const runnable = made?.endEmulation ? made.architectures : [ownArchitecture];
describe.skipIf(!made).each(runnable)('the image of the Dockerfile on %s', (architecture) => {
  let image = '';
  let name = '';
  beforeAll(async () => {
    image = await pull(architecture);
    const settings = [
      'PODGATE_DATA_DIR=/data',
      'PODGATE_HTTPS_PORT=8443',
      'PODGATE_RUNTIME=process',
    ];
    const environment = settings.flatMap((setting) => ['-e', setting]);
    const limits = ['--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--read-only'];
    const argv = ['run', '-d', '-p', '127.0.0.1::8443', ...limits, ...environment, image];
    name = await ask(...argv, 'node', 'deploy/standalone/main.ts');
  });
  afterAll(() => made?.engine.clean());

  test('answers, as nobody special, on a file system that cannot be written to but for its volume', async () => {
    let said = '';
    await until(
      async () => {
        // It needs the cores itself.
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return /Podgate is running/.test((said = await ask('logs', name)));
      },
      () => `${said}\n`,
      120_000,
    );
    const health =
      'fetch("https://localhost:8443/v3/healthcheck").then(async r => console.log(r.status, process.arch))';
    const node = ['-e', 'NODE_EXTRA_CA_CERTS=/data/ca.pem', name, 'node', '-e', health];
    expect(await ask('exec', ...node)).toBe(`200 ${nodeArchitecture(architecture)}`);
    expect(await ask('exec', name, 'id', '-u')).toBe('1000');
    expect(await inspect(image, '{{.Config.User}} {{.Config.Cmd}}')).toBe(
      '1000:1000 [node gateway/main.ts]',
    );
  });

  test('has what the programs need and no more', async () => {
    const found = await ask('exec', name, 'ls', '/podgate', '/podgate/deploy/start');
    expect(found).toMatch(/^gateway$/m);
    expect(found).not.toMatch(/^(?:test|bench)$|\.test\.ts$/m);
    const [size = 0, base = 0] = await Promise.all(
      [image, `localhost/node:${architecture}`].map(async (each) =>
        Number(await inspect(each, '{{.Size}}')),
      ),
    );
    const megabytes = (size - base) / 1_000_000;
    process.stdout.write(
      `the image is ${megabytes.toFixed(0)} MB larger than its base, whose Node has ${statSync(process.execPath).size / 1e6} MB\n`,
    );
    expect(megabytes).toBeLessThan(100);
  });

  test('has no native code, which would be of the platform that built it', async () => {
    const folder = join(await ask('image', 'mount', image), 'podgate');
    const files = readdirSync(folder, { recursive: true, withFileTypes: true });
    const native = files
      .filter((each) => each.isFile())
      .map((each) => join(each.parentPath, each.name))
      .filter((file) => readFileSync(file).toString('latin1', 0, 4) === '\x7fELF');
    await ask('image', 'unmount', image);
    expect(native).toEqual([]);
    expect(files.length).toBeGreaterThan(1_000);
  });
});

const nodeArchitecture = (architecture: string): string =>
  architecture === 'amd64' ? 'x64' : architecture;
