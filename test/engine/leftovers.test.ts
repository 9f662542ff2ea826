import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { busyboxImage } from '../programs/images.ts';
import { endProcessesOf } from '../programs/podman-leftovers.ts';
import { Podman } from '../programs/podman.ts';
import { available, run } from '../programs/run.ts';

const podman = await available('what killed tests leave', () => Podman.start());

interface Left {
  readonly folder: string;
  readonly port: string;
  readonly id: string;
  readonly link: string;
}

/** What a run has left that was killed just now. */
async function killed(): Promise<Left> {
  const argv = [process.execPath, join(import.meta.dirname, 'killed.ts')];
  const { code, out, err } = await run(argv);
  expect(code, err).toBeNull();
  return JSON.parse(out) as Left;
}

const rules = async (): Promise<string> => (await run(['iptables', '-t', 'nat', '-S'])).out;
const links = async (): Promise<string> => (await run(['ip', '-br', 'link'])).out;

describe.skipIf(!podman)('what a killed test run leaves', () => {
  afterAll(() => podman?.stop());

  test('goes when the next one starts, and what is still in use stays', async () => {
    await podman?.run('network', 'create', 'podgate-living');
    const published = ['--network', 'podgate-living', '-p', '127.0.0.1::5000'];
    await podman?.run('run', '-d', '--name', 'living', ...published, busyboxImage, 'sleep', '600');
    const left = await killed();
    expect(await rules()).toContain(`--dport ${left.port} `);
    expect(await links()).toContain(left.link);
    await Podman.clearLeftovers();
    expect(await rules()).not.toContain(`--dport ${left.port} `);
    expect(await links()).not.toContain(left.link);
    expect(existsSync(left.folder)).toBe(false);
    expect(await rules()).toContain('dnat name: podgate-living');
    expect(await podman?.run('ps', '--format', '{{.Names}}')).toBe('living\n');
    await podman?.run('rm', '-f', '-t', '0', 'living');
    await podman?.run('network', 'rm', 'podgate-living');
  });

  test('goes as well when somebody has ended its processes', async () => {
    const left = await killed();
    endProcessesOf(left.folder);
    await Podman.clearLeftovers();
    expect(await rules()).not.toContain(left.id);
    expect(await links()).not.toContain(left.link);
    expect(existsSync(left.folder)).toBe(false);
  });

  test('swallows no port either when somebody has deleted its folder', async () => {
    const comment = `dnat name: podgate-default-0 id: ${'0abc'.repeat(16)}`;
    const rule = ['-p', 'tcp', '--dport', '9', '-m', 'comment', '--comment', comment];
    const argv = ['iptables', '-t', 'nat', '-A', 'NETAVARK-HOSTPORT-DNAT', ...rule, '-j', 'RETURN'];
    expect((await run(argv)).err).toBe('');
    expect(await rules()).toContain(comment);
    await Podman.clearLeftovers();
    expect(await rules()).not.toContain(comment);
  });
});
