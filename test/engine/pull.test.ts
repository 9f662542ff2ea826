import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone, until } from '../integration/standalone.ts';
import { copyProgram, makeImage } from '../programs/images.ts';
import { Podman } from '../programs/podman.ts';
import { ImageRegistry, onlyAda } from '../programs/registry.ts';
import { available } from '../programs/run.ts';

const needed = await available('images of a registry', async () => ({
  registry: await ImageRegistry.start(onlyAda),
  podman: await Podman.start(),
}));

const minute = 60_000;
const mebibyte = 1024 * 1024;
const local = 'localhost/big:1';
const auth = (password: string) => ({ auth: btoa(`ada:${password}`) });

describe.skipIf(!needed)('images of a registry that asks who we are', () => {
  let podgate: Standalone;
  /** Names of the registry: Podgate has the right password for one, a wrong one for another, or none. */
  const server = { right: '', wrong: '', unknown: needed?.registry.server ?? '' };

  beforeAll(async () => {
    if (!needed) return;
    const { podman, registry } = needed;
    server.right = await registry.slowly(4 * mebibyte);
    server.wrong = await registry.slowly(100 * mebibyte);
    const folder = join(podman.folder, 'big');
    await copyProgram(folder, '/bin/busybox', '/bin/sh');
    // So that it cannot be compressed.
    writeFileSync(join(folder, 'ballast'), randomBytes(16 * mebibyte));
    await makeImage(podman, local, folder, 'CMD ["/bin/sh","-c","echo it runs"]');
    const push = ['push', '-q', '--tls-verify=false', '--creds', 'ada:secret', local];
    await podman.run(...push, `docker://${registry.server}/big:1`);
    // What is here is not fetched.
    await podman.run('rmi', local);
    const auths = { [server.right]: auth('secret'), [server.wrong]: auth('swordfish') };
    const file = join(podman.folder, 'auth.json');
    writeFileSync(file, JSON.stringify({ auths }), { mode: 0o600 });
    const env = { DOCKER_HOST: podman.host, PODGATE_REGISTRY_AUTH_FILE: file };
    podgate = await Standalone.start({ env });
    const list = Object.values(server).map((name) => ({ image: `${name}/big`, tenants: ['*'] }));
    expect((await podgate.call('POST', '/v3/pods/images/bulk', list)).status).toBeLessThan(300);
  });
  afterAll(async () => {
    await podgate?.stopAndForget();
    await needed?.podman.stop();
    await needed?.registry.stop();
  });

  const create = (podId: string, image: string) =>
    podgate.call('POST', '/v3/pods', { pod_id: podId, image });
  const message = async (podId: string): Promise<string> => {
    const { envelope } = await podgate.call('GET', `/v3/pods/${podId}`);
    return JSON.stringify(envelope.result['status_container']);
  };
  const logs = async (podId: string): Promise<{ logs: string; action_logs: string[] }> => {
    const { envelope } = await podgate.call('GET', `/v3/pods/${podId}/logs`);
    return envelope.result as unknown as { logs: string; action_logs: string[] };
  };

  test('one is fetched with its credentials, and how far it has come is told', async () => {
    const image = `${server.right}/big:1`;
    await create('mine', image);
    const percents = new Set<number>();
    await until(
      async () => {
        const { envelope } = await podgate.call('GET', '/v3/pods/mine');
        const [, percent] =
          /Fetches the image \S+: (\d+) % of 1[78] MB/.exec(JSON.stringify(envelope.result)) ?? [];
        if (percent) percents.add(Number(percent));
        return envelope.result.status === 'COMPLETE';
      },
      () => `mine to be fetched, of which ${[...percents].join()} % were told\n${podgate.output}`,
      minute,
    );
    const between = [...percents].filter((percent) => percent > 0 && percent < 100);
    expect(between.length).toBeGreaterThan(1);
    expect(between).toEqual(between.toSorted((a, b) => a - b));
    const said = await logs('mine');
    expect(said.logs).toBe('it runs\n');
    expect(said.action_logs.join('\n')).toMatch(
      new RegExp(`Fetching the image ${image} began[^]*The image ${image} was fetched`),
    );
  });

  test.each([
    [
      'a wrong password',
      'wrong',
      'does not accept the credentials that PODGATE_REGISTRY_AUTH_FILE',
    ],
    ['no password', 'unknown', 'PODGATE_REGISTRY_AUTH_FILE has no credentials for the registry'],
  ] as const)('one that is asked for with %s is ERROR, and what to do is told', async (...row) => {
    const [, name, words] = row;
    const image = `${server[name]}/big:1`;
    await create(name, image);
    await podgate.state(name, 'ERROR', minute);
    const said = await message(name);
    expect(said).toContain(`image ${image} cannot be fetched: `);
    expect(said).toContain(words);
    expect(said).toContain(server[name]);
    expect(said + podgate.output).not.toMatch(/swordfish/);
  });

  test('one that is not on the list of images is not asked for', async () => {
    const { status, envelope } = await create('foreign', `${server.right}/foreign:1`);
    expect([status, JSON.stringify(envelope.message)]).toEqual([
      400,
      expect.stringContaining('foreign is not on the list of images'),
    ]);
  });
});
