import { statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root, until } from '../integration/standalone.ts';
import { makeNodeImage } from '../programs/node-image.ts';
import { Podman } from '../programs/podman.ts';
import { available, Unavailable } from '../programs/run.ts';

const image = 'localhost/podgate:test';

/** Built as its first lines say, with the base image made here. */
const podman = await available('the Dockerfile', async () => {
  const engine = await Podman.start();
  try {
    await makeNodeImage(engine);
    const file = join(root, 'deploy/docker/Dockerfile');
    await engine.run('build', '--network', 'host', '-f', file, '-t', image, root);
    return engine;
  } catch (error) {
    await engine.stop();
    if (
      /npm error (?:code|network).*(?:E(?:AI_AGAIN|CONN|NOTFOUND|TIMEDOUT)|network)/s.test(
        String(error),
      )
    )
      throw new Unavailable(`npm's registry cannot be reached: ${String(error)}`);
    throw error;
  }
});

const inspect = async (what: string, format: string): Promise<string> =>
  ((await podman?.run('inspect', what, '-f', format)) ?? '').trim();

describe.skipIf(!podman)('the image of the Dockerfile', () => {
  let name = '';
  beforeAll(async () => {
    const settings = [
      'PODGATE_DATA_DIR=/data',
      'PODGATE_HTTPS_PORT=8443',
      'PODGATE_RUNTIME=process',
    ];
    const environment = settings.flatMap((setting) => ['-e', setting]);
    const limits = ['--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--read-only'];
    const argv = ['run', '-d', '-p', '127.0.0.1::8443', ...limits, ...environment, image];
    name = ((await podman?.run(...argv, 'node', 'deploy/standalone/main.ts')) ?? '').trim();
  });
  afterAll(() => podman?.stop());

  test('answers, as nobody special, on a file system that cannot be written to but for its volume', async () => {
    const health =
      'fetch("https://localhost:8443/v3/healthcheck").then(async r => console.log(r.status))';
    let last = '';
    await until(
      async () => {
        const argv = ['exec', '-e', 'NODE_EXTRA_CA_CERTS=/data/ca.pem', name, 'node', '-e', health];
        last = (await podman?.run(...argv).catch(String)) ?? '';
        return last === '200\n';
      },
      () => `${last}\n`,
      60_000,
    );
    expect(await podman?.run('exec', name, 'id', '-u')).toBe('1000\n');
    expect(await inspect(image, '{{.Config.User}} {{.Config.Cmd}}')).toBe(
      '1000:1000 [node gateway/main.ts]',
    );
  });

  test('has what the programs need and no more', async () => {
    const list = await podman?.run('exec', name, 'ls', '/podgate', '/podgate/deploy/start');
    expect(list).toMatch(/^gateway$/m);
    expect(list).not.toMatch(/^(?:test|bench)$|\.test\.ts$/m);
    const [size = 0, base = 0] = await Promise.all(
      [image, 'docker.io/library/node:26-slim'].map(async (each) =>
        Number(await inspect(each, '{{.Size}}')),
      ),
    );
    const megabytes = (size - base) / 1_000_000;
    process.stdout.write(
      `the image is ${megabytes.toFixed(0)} MB larger than its base, whose Node has ${statSync(process.execPath).size / 1e6} MB\n`,
    );
    expect(megabytes).toBeLessThan(150);
  });
});
