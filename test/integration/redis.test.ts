import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { redisProgram, RedisServer } from '../programs/redis.ts';
import { available } from '../programs/run.ts';
import {
  alive,
  environment,
  freePorts,
  makeDataDir,
  podPids,
  runToEnd,
  Standalone,
  until,
} from './standalone.ts';

const program = (await available('standalone on Redis', redisProgram)) ?? '';
const off = { image: 'podgate/hello', status_requested: 'OFF' };
const host = 'hello.pods.localhost';

/** All that is in the files of a folder. */
const contents = (folder: string): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');

describe.skipIf(!program)('a standalone on Redis', () => {
  let server: RedisServer;
  let podgate: Standalone | undefined;

  beforeEach(async () => {
    server = await RedisServer.start(program);
  });
  afterEach(async () => {
    await podgate?.stopAndForget();
    podgate = undefined;
    await server.stop();
  });

  const onRedis = () => ({ PODGATE_REDIS_URL: server.url, PODGATE_GATEWAY_WORKERS: '1' });

  test('after SIGKILL of both, everything is there and the pods run on', async () => {
    const start = { dataDir: makeDataDir(), ports: await freePorts(), env: onRedis() };
    podgate = await Standalone.start(start);
    await podgate.state('hello', 'AVAILABLE');
    const pids = podPids(start.dataDir);
    expect(pids).toHaveLength(1);
    const { status } = await podgate.call('POST', '/v3/pods', { pod_id: 'kept', ...off });
    const secrets = [await podgate.podPassword('hello'), podgate.password, 'PRIVATE KEY'];
    await Promise.all([podgate.end('SIGKILL'), server.kill()]);
    expect(status).toBe(200);
    const written = contents(server.folder);
    expect(written).toContain('podgate/hello');
    for (const secret of secrets) expect(written).not.toContain(secret);

    await server.start();
    podgate = await Standalone.start(start);
    expect((await podgate.call('GET', '/v3/pods/kept')).envelope.result['image']).toBe(off.image);
    const page = async () => (await podgate?.request(host, '/'))?.status === 200;
    await until(page);
    // At once, though the lease of the one that was killed has 15 s to live.
    await podgate.pod({ pod_id: 'later', image: 'podgate/hello' }, 8_000);
    expect(podPids(start.dataDir)).toEqual(expect.arrayContaining(pids));
    expect((await podgate.call('GET', '/v3/pods/hello')).envelope.result.status).toBe('AVAILABLE');
    expect(await page()).toBe(true);
  }, 120_000);

  test('while Redis is away pods are served, the API says so and when to come again, and all recovers', async () => {
    const started = await Standalone.start({ dataDir: makeDataDir(), env: onRedis() });
    podgate = started;
    await started.state('hello', 'AVAILABLE');
    const pids = podPids(started.dataDir);
    const readyz = () => fetch(`http://127.0.0.1:${started.ports.admin}/readyz`);
    await started.token();
    expect((await readyz()).status).toBe(200);

    await server.kill();
    const create = { pod_id: 'during', ...off };
    const answers = await Promise.all([
      started.call('GET', '/v3/pods'),
      started.call('POST', '/v3/pods', create),
    ]);
    for (const { status, headers, envelope } of answers) {
      expect(status).toBe(503);
      expect(headers.get('retry-after')).toBe('5');
      expect(envelope.message).toMatch(/store/);
    }
    const notReady = await readyz();
    expect(notReady.status).toBe(503);
    expect(await notReady.text()).toContain('ECONNREFUSED');
    // Longer than the controller's lease lives.
    const awayMs = performance.now() + 17_000;
    while (performance.now() < awayMs) {
      expect((await started.request(host, '/')).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }

    await server.start();
    await until(async () => (await readyz()).status === 200);
    expect((await started.call('POST', '/v3/pods', create)).status).toBe(200);
    await started.pod({ pod_id: 'later', image: 'podgate/hello' }, 40_000);
    expect(podPids(started.dataDir)).toEqual(expect.arrayContaining(pids));
    expect(started.output).toMatch(/the connection to Redis is lost/);
    expect(started.output).not.toMatch(/unhandled|failed unexpectedly/i);
  }, 120_000);

  test('with Redis away it stops in time', async () => {
    podgate = await Standalone.start({ env: onRedis() });
    await podgate.state('hello', 'AVAILABLE');
    const pids = podPids(podgate.dataDir);
    await server.kill();
    const startedMs = performance.now();
    await podgate.end('SIGTERM');
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(pids.filter(alive)).toEqual([]);
  });

  test('what keeps it from starting is said in one line that names the setting', async () => {
    const dataDir = makeDataDir();
    const ports = await freePorts();
    const line = async (env: NodeJS.ProcessEnv, dir = dataDir): Promise<string> => {
      const { code, output } = await runToEnd({ ...environment(ports, dir), ...env });
      expect(code).toBe(1);
      const lines = output.trim().split('\n');
      expect(lines).toHaveLength(1);
      return lines[0] ?? '';
    };
    podgate = await Standalone.start({ dataDir, ports, env: onRedis() });
    await podgate.end();

    expect(await line({})).toMatch(/PODGATE_REDIS_URL is not set/);
    await server.client().flushall();
    expect(await line(onRedis())).toMatch(/PODGATE_REDIS_URL .*emptied/);
    const evicting = ['maxmemory', '1gb', 'maxmemory-policy', 'allkeys-lru'] as const;
    await server.client().config('SET', ...evicting);
    expect(await line(onRedis())).toMatch(/PODGATE_REDIS_URL: .*maxmemory-policy is allkeys-lru/);
    await server.kill();
    expect(await line(onRedis())).toMatch(/PODGATE_REDIS_URL: .*ECONNREFUSED/);

    const embedded = await Standalone.start({ dataDir: makeDataDir(), ports });
    await embedded.end();
    await server.start();
    expect(await line(onRedis(), embedded.dataDir)).toMatch(/documents of a start without it/);
    await embedded.stopAndForget();
  }, 120_000);
});
