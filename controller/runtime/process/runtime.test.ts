import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import {
  exited,
  gone,
  isRunning,
  listening,
  logged,
  observed,
  runtimeConforms,
  networksOf,
  processKind,
  shellSpec as shell,
  spec,
} from '../../../test/conformance/runtime.ts';
import type { RuntimePlace } from '../../../test/conformance/runtime.ts';
import type { Runtime } from '../runtime.ts';
import type { RunRecord } from './files.ts';
import { LaunchClaim } from './claims.ts';
import { createProcessRuntime } from './runtime.ts';

const isRoot = process.geteuid?.() === 0;
const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function makePlace(user?: string): Promise<RuntimePlace & { dataDir: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'podgate-runtime-'));
  await chmod(dataDir, 0o711);
  const ports = { clock: systemClock, random: systemRandom, log };
  return {
    dataDir,
    open: () => createProcessRuntime({ dataDir, user, ...ports }),
    clean: () => rm(dataDir, { recursive: true, force: true }),
  };
}

async function open(
  user?: string,
): Promise<{ runtime: Runtime; place: Awaited<ReturnType<typeof makePlace>> }> {
  const place = await makePlace(user);
  cleanups.push(() => place.clean());
  const runtime = await place.open();
  cleanups.push(() => runtime.stopAll(1_000));
  return { runtime, place };
}

runtimeConforms('pods as processes', processKind, () => makePlace());
if (isRoot)
  runtimeConforms('pods as processes of another user', processKind, () => makePlace('nobody'));

describe('pods as processes', { timeout: 30_000 }, () => {
  const key = 'default/pod';
  const folder = (dataDir: string): string => join(dataDir, 'pods', key);
  const record = async (dataDir: string): Promise<RunRecord> =>
    JSON.parse(await readFile(join(folder(dataDir), 'run.json'), 'utf8'));
  const pids = async (dataDir: string): Promise<{ shim: number; program: number }> => {
    const { shim, program } = await record(dataDir);
    if (!shim || !program) throw new Error('not launched');
    return { shim: shim.pid, program: program.pid };
  };

  test('when the shim is killed, the program it stood beside is ended', async () => {
    const { runtime, place } = await open();
    await runtime.start(shell('sleep 300 & echo $!; exec sleep 300'));
    await logged(runtime, '\n');
    const child = Number(await runtime.logs(key));
    const { shim, program } = await pids(place.dataDir);
    process.kill(shim, 'SIGKILL');
    const { end } = await exited(runtime);
    expect(end).toMatchObject({ by: 'itself', exitCode: null });
    await Promise.all([gone(program), gone(child)]);
  });

  test('an orphan found at the start is ended and counts as lost', async () => {
    const { runtime, place } = await open();
    await runtime.start(shell('exec sleep 300'));
    const { shim, program } = await pids(place.dataDir);
    runtime.close();
    process.kill(shim, 'SIGKILL');
    await gone(shim);
    expect(isRunning(program)).toBe(true);
    const next = await place.open();
    const { end } = await exited(next);
    expect(end).toMatchObject({ by: 'lost', message: 'ended while the controller was away' });
    await gone(program);
    next.close();
  });

  test('what another controller does here meanwhile is seen with the next list', async () => {
    const { runtime, place } = await open();
    const standby = await place.open();
    await runtime.start(shell('exec sleep 300'));
    expect(await standby.list()).toEqual([key]);
    expect(await observed(standby)).toMatchObject({ run: 1, end: null });
    await runtime.stop(key, 0);
    await runtime.start({ ...shell('exec sleep 300'), run: 2 });
    await standby.list();
    expect(await observed(standby)).toMatchObject({ run: 2, end: null });
    await runtime.remove(key);
    expect(await standby.list()).toEqual([]);
    expect(await standby.observe(key)).toBeUndefined();
    standby.close();
  });

  test('one that slept while another stopped and started the pod leaves the new run alone', async () => {
    const { runtime, place } = await open();
    await runtime.start(shell('exec sleep 300'));
    const waking = Promise.withResolvers<void>();
    const clock = { ...systemClock, sleep: () => waking.promise };
    const { dataDir } = place;
    const ports = { clock, random: systemRandom, log };
    const sleeper = await createProcessRuntime({ dataDir, user: undefined, ...ports });
    await runtime.stop(key, 0);
    await runtime.start({ ...shell('exec sleep 300'), run: 2 });
    const { program } = await pids(dataDir);
    waking.resolve();
    await exited(sleeper);
    expect(isRunning(program)).toBe(true);
    expect(await record(dataDir)).toMatchObject({ run: 2, end: null });
    sleeper.close();
  });

  test('of two controllers that both believe they lead, one launches a run', async () => {
    const { runtime, place } = await open();
    const other = await place.open();
    const run = shell('echo $$; exec sleep 300');
    await Promise.allSettled([runtime.start(run), other.start(run)]);
    await Promise.all([runtime.list(), other.list()]);
    const ends = [await observed(runtime), await observed(other)].map(({ end }) => end);
    // It runs, and everybody sees it; or the claim was contested, and it counts as lost.
    const alive = ends.filter((end) => end === null).length;
    const lines = (await runtime.logs(key)).split('\n').filter((line) => line !== '');
    expect(lines.length).toBeLessThanOrEqual(1);
    if (alive === 0) expect(ends).toMatchObject([{ by: 'lost' }, { by: 'lost' }]);
    await other.start({ ...run, run: 2 }).catch(() => undefined);
    other.close();
  });

  test('a launch that its controller did not come to is lost, and is not made up for later', async () => {
    const { runtime, place } = await open();
    const spec1 = shell('exec sleep 300');
    await mkdir(folder(place.dataDir), { recursive: true });
    const paused = new LaunchClaim(folder(place.dataDir), spec1, 'paused');
    expect(paused.take()).toBe(true);
    await runtime.start(spec1);
    expect(await observed(runtime)).toMatchObject({ run: 1, end: { by: 'lost' } });
    expect(paused.held).toBe(false);
    await runtime.start({ ...spec1, run: 2 });
    const late = await place.open();
    await expect(late.start(spec1)).rejects.toThrow(/run 2 .* is alive/);
    expect(await observed(runtime)).toMatchObject({ run: 2, end: null });
    late.close();
  });

  test('a process that merely has the pid of an old run is left alone', async () => {
    const { runtime, place } = await open();
    await runtime.start(shell('exec sleep 300'));
    const { shim } = await pids(place.dataDir);
    const old = await record(place.dataDir);
    runtime.close();
    const stranger = { pid: shim, startedAt: `${old.shim?.startedAt.split('/')[0]}/1` };
    const forged = { ...old, shim: stranger, program: stranger };
    await writeFile(join(folder(place.dataDir), 'run.json'), JSON.stringify(forged));
    const next = await place.open();
    expect((await observed(next)).end).toMatchObject({ by: 'lost' });
    expect(isRunning(shim)).toBe(true);
    process.kill(shim, 'SIGTERM');
    await gone(shim);
    next.close();
  });

  test('half a record is no record', async () => {
    const { runtime, place } = await open();
    await runtime.start(shell('true'));
    await exited(runtime);
    runtime.close();
    await writeFile(join(folder(place.dataDir), 'run.json'), '{"run":1,');
    const next = await place.open();
    expect(await next.list()).toEqual([]);
    await next.start(shell('true'));
    await exited(next);
    next.close();
  });

  test("secrets of a pod are neither on disk nor in the shim's command line", async () => {
    const { runtime, place } = await open();
    await runtime.start(shell('echo up; sleep 300', { environment: { PASSWORD: 'hunter2-7431' } }));
    await logged(runtime, 'up');
    for (const name of await readdir(folder(place.dataDir))) {
      if (name === 'work') continue;
      expect(await readFile(join(folder(place.dataDir), name), 'utf8')).not.toContain('hunter2');
    }
    const { shim } = await pids(place.dataDir);
    if (process.platform === 'linux') {
      expect(await readFile(`/proc/${shim}/cmdline`, 'utf8')).not.toContain('hunter2');
      expect(await readFile(`/proc/${shim}/environ`, 'utf8')).toBe('');
    }
  });

  test('only the way to its own folder is open to a pod', async () => {
    const { runtime, place } = await open();
    await runtime.start(shell('echo'));
    await exited(runtime);
    const mode = async (...path: string[]): Promise<string> =>
      ((await stat(join(place.dataDir, ...path))).mode & 0o777).toString(8);
    expect(await mode('pods')).toBe('711');
    expect(await mode('pods/default')).toBe('711');
    expect(await mode('pods', key)).toBe('711');
    expect(await mode('pods', key, 'work')).toBe('700');
    expect(await mode('pods', key, 'run.json')).toBe('600');
    expect(await mode('pods', key, 'output.0')).toBe('600');
    expect(await mode('pods', key, 'times.0')).toBe('600');
  });

  test('pods that start together get ports of their own', async () => {
    const { runtime } = await open();
    const keys = ['default/a', 'default/b', 'default/c'];
    const networks = networksOf('default', 'more');
    await Promise.all(keys.map((one) => runtime.start(shell('sleep 300', { key: one, networks }))));
    const seen = await Promise.all(keys.map((one) => observed(runtime, one)));
    const ports = seen.flatMap(({ addresses }) => Object.values(addresses).map((a) => a.port));
    expect(new Set(ports).size).toBe(6);
  });

  test.runIf(process.platform === 'linux')(
    'a stranger that sits on the port of a pod is not taken for it',
    async () => {
      const { runtime } = await open();
      await runtime.start(shell('sleep 300', { networks: networksOf('default') }));
      const port = (await observed(runtime)).addresses['default']?.port;
      const stranger = createServer().listen(port, '127.0.0.1');
      cleanups.push(() => new Promise((resolve) => stranger.close(() => resolve())));
      const asked = vi.fn();
      stranger.on('connection', asked);
      await vi.waitFor(() => expect(asked).toHaveBeenCalled(), { timeout: 10_000 });
      await vi.waitFor(() => expect(asked.mock.calls.length).toBeGreaterThan(1), {
        timeout: 10_000,
      });
      expect((await observed(runtime)).addresses['default']?.listening).toBe(false);
    },
  );

  test('a program that listens on IPv6 only is reached there', async () => {
    const { runtime } = await open();
    const probe = createServer();
    const hasIpv6 = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true));
    });
    probe.close();
    if (!hasIpv6) return;
    const program = `require('net').createServer().listen(process.env.PORT, '::1')`;
    const command = [process.execPath, '-e', program];
    await runtime.start(spec({ command, networks: networksOf('default') }));
    expect(await listening(runtime, 'default')).toMatchObject({ host: '::1' });
  });

  test('a user that is not there is an error that names it', async () => {
    const place = await makePlace('no-such-user');
    cleanups.push(() => place.clean());
    await expect(place.open()).rejects.toMatchObject({
      name: 'UnknownUser',
      message: expect.stringContaining('no-such-user'),
    });
  });

  test.runIf(isRoot)('as root, a pod is the other user and owns its folder alone', async () => {
    const { runtime } = await open('nobody');
    const closed = ['cat ../run.json', 'ls ..', 'ls ../..', 'touch ../x'];
    const script = `id -un; id -Gn; ${closed.map((c) => `${c} 2>/dev/null && echo open`).join('; ')}; touch mine && echo done`;
    await runtime.start(shell(script));
    await exited(runtime);
    expect(await runtime.logs(key)).toMatch(/^nobody\nnogroup\ndone\n$/);
  });

  test.runIf(isRoot)(
    'a data directory that is closed to pods is opened to pass through',
    async () => {
      const dataDir = await mkdtemp(join(tmpdir(), 'podgate-runtime-'));
      cleanups.push(() => rm(dataDir, { recursive: true, force: true }));
      const ports = { clock: systemClock, random: systemRandom, log };
      const runtime = await createProcessRuntime({ dataDir, user: 'nobody', ...ports });
      await runtime.start(shell('echo here'));
      await exited(runtime);
      expect(await runtime.logs(key)).toBe('here\n');
      expect((await stat(dataDir)).mode & 0o777).toBe(0o711);
    },
  );

  test.runIf(isRoot)('a data directory that pods cannot enter gets a substitute', async () => {
    const closed = await mkdtemp(join(tmpdir(), 'podgate-closed-'));
    cleanups.push(() => rm(closed, { recursive: true, force: true }));
    await chmod(closed, 0o700);
    const dataDir = join(closed, 'data');
    await mkdir(dataDir);
    const runtime = await createProcessRuntime({
      dataDir,
      user: 'nobody',
      clock: systemClock,
      random: systemRandom,
      log,
    });
    await runtime.start(spec({ image: 'podgate/hello', networks: networksOf('default') }));
    await listening(runtime, 'default');
    await runtime.remove(key);
    const [[fields]] = log.warn.mock.calls.slice(-1) as [[{ pods: string }]];
    await rm(join(fields.pods, '..'), { recursive: true });
  });
});
