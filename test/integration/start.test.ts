import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  alive,
  environment,
  freePorts,
  makeDataDir,
  makeFolder,
  podPids,
  root,
  runToEnd,
  Standalone,
  until,
} from './standalone.ts';

/** The one line a person gets when it does not start. */
function onlyLine(output: string): string {
  const lines = output.trim().split('\n');
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

describe('what keeps it from starting is said in one line that names the setting', () => {
  test.each(['https', 'http', 'api', 'admin'] as const)('a taken %s port', async (which) => {
    const ports = await freePorts();
    const dataDir = makeDataDir();
    const other = net.createServer().listen(ports[which], which === 'https' ? '::' : '127.0.0.1');
    await once(other, 'listening');
    const { code, output } = await runToEnd(environment(ports, dataDir));
    other.close();
    expect(code).toBe(1);
    const line = onlyLine(output);
    expect(line).toContain(`PODGATE_${which.toUpperCase()}_PORT`);
    expect(line).toContain(String(ports[which]));
  });

  test('a data directory in use by another Podgate', async () => {
    const first = await Standalone.start();
    const { code, output } = await runToEnd(environment(await freePorts(), first.dataDir));
    expect(code).toBe(1);
    expect(onlyLine(output)).toMatch(/PODGATE_DATA_DIR.*another Podgate/);
    // The one that runs has not noticed.
    expect((await first.call('GET', '/v3/pods/hello')).status).toBe(200);
    await first.stopAndForget();
  });

  test('a data directory that cannot be written', async () => {
    const folder = makeFolder();
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    const { code, output } = await runToEnd(environment(await freePorts(), join(file, 'data')));
    rmSync(folder, { recursive: true });
    expect(code).toBe(1);
    expect(onlyLine(output)).toContain('PODGATE_DATA_DIR');
  });

  test.runIf(process.platform === 'linux')('a data directory that nobody can make', async () => {
    const { code, output } = await runToEnd(environment(await freePorts(), '/proc/podgate/data'));
    expect(code).toBe(1);
    expect(onlyLine(output)).toContain('PODGATE_DATA_DIR: in /proc no directory can be made');
  });

  test('a bad value', async () => {
    const env = { ...environment(await freePorts(), makeDataDir()), PODGATE_RUNTIME: 'vax' };
    const { code, output } = await runToEnd(env);
    expect(code).toBe(1);
    expect(onlyLine(output)).toContain('PODGATE_RUNTIME');
  });

  test('a user that does not exist', async () => {
    const env = {
      ...environment(await freePorts(), makeDataDir()),
      PODGATE_PROCESS_USER: 'nobody-of-that-name',
    };
    const { code, output } = await runToEnd(env);
    expect(code).toBe(1);
    expect(onlyLine(output)).toContain('PODGATE_PROCESS_USER');
  });
});

test('the first start makes a CA, a password for its owner alone, and the demo pod', async () => {
  const podgate = await Standalone.start();
  expect(podgate.ca).toContain('BEGIN CERTIFICATE');
  expect(podgate.password.length).toBeGreaterThanOrEqual(20);
  expect(statSync(join(podgate.dataDir, 'admin-password')).mode & 0o777).toBe(0o600);
  for (const piece of ['https://hello.pods.localhost', '/v3/docs', 'ca.pem', 'admin-password']) {
    expect(podgate.output).toContain(piece);
  }
  await podgate.stopAndForget();
});

test('a password given by the operator is used and not written down', async () => {
  const podgate = await Standalone.start({ env: { PODGATE_ADMIN_PASSWORD: 'chosen-by-me' } });
  const body = { grant_type: 'password', username: 'admin', password: 'chosen-by-me' };
  expect((await podgate.call('POST', '/v3/oauth2/tokens', body, '')).status).toBe(200);
  expect(() => podgate.password).toThrow(/ENOENT/);
  await podgate.stopAndForget();
});

test('kill -9 of the main process leaves nothing that holds its ports', async () => {
  const ports = await freePorts();
  const dataDir = makeDataDir();
  const first = await Standalone.start({ ports, dataDir });
  await first.state('hello', 'AVAILABLE');
  await first.end('SIGKILL');
  const second = await Standalone.start({ ports, dataDir });
  await until(async () => (await second.request('hello.pods.localhost', '/')).status === 200);
  await second.stopAndForget();
});

test('npm start in a fresh clone installs what is missing and starts', async () => {
  const folder = makeFolder();
  const clone = join(folder, 'podgate');
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', root, clone]);
  // npm needs what this machine gives it to reach its registry.
  const env = { ...process.env, ...environment(await freePorts(), join(folder, 'data')) };
  // Its own process group, as a terminal would give it: Ctrl-C goes to all of it.
  const child = spawn('npm', ['start'], { cwd: clone, env, detached: true });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk));
  await until(
    () => output.includes('Podgate is running') || child.exitCode !== null,
    () => output,
    150_000,
  );
  expect(output).toContain('Podgate is running');
  await until(() => podPids(join(folder, 'data')).length === 1);
  const pids = podPids(join(folder, 'data'));
  const stoppedMs = performance.now();
  process.kill(-(child.pid ?? 0), 'SIGINT');
  await once(child, 'exit');
  // npm may be gone before what it started.
  await until(() => pids.every((pid) => !alive(pid)));
  expect(performance.now() - stoppedMs).toBeLessThan(10_000);
  rmSync(dirname(clone), { recursive: true, force: true });
}, 180_000);
