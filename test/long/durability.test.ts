import { expect, test } from 'vitest';
import {
  alive,
  freePorts,
  makeDataDir,
  podPids,
  Standalone,
  until,
} from '../integration/standalone.ts';

const off = { image: 'podgate/hello', status_requested: 'OFF' };

test('a write that was answered survives kill -9 right after it, 50 times', async () => {
  const dataDir = makeDataDir();
  const ports = await freePorts();
  const env = { PODGATE_GATEWAY_WORKERS: '1' };
  // No pods run here, so that the 50 starts are those of the main program.
  const first = await Standalone.start({ dataDir, ports, env });
  await first.call('DELETE', '/v3/pods/hello');
  const kept: string[] = [];
  let podgate = first;
  for (let round = 0; round < 50; round += 1) {
    const podId = `kept${round}`;
    const { status } = await podgate.call('POST', '/v3/pods', { pod_id: podId, ...off });
    await podgate.end('SIGKILL');
    expect(status).toBe(200);
    kept.push(podId);
    podgate = await Standalone.start({ dataDir, ports, env });
    const { envelope } = await podgate.call('GET', '/v3/pods');
    const found = (envelope.result as unknown as { pod_id: string }[]).map((pod) => pod.pod_id);
    expect(found.toSorted()).toEqual(kept.toSorted());
  }
  await podgate.stopAndForget();
}, 300_000);

test('kill -9 with pods running: the next start has the write and adopts the pods, 5 times', async () => {
  const dataDir = makeDataDir();
  const ports = await freePorts();
  let podgate = await Standalone.start({ dataDir, ports });
  await podgate.state('hello', 'AVAILABLE');
  const before = podPids(dataDir);
  expect(before).toHaveLength(1);
  for (let round = 0; round < 5; round += 1) {
    const podId = `also${round}`;
    const { status } = await podgate.call('POST', '/v3/pods', { pod_id: podId, ...off });
    await podgate.end('SIGKILL');
    expect(status).toBe(200);
    podgate = await Standalone.start({ dataDir, ports });
    expect((await podgate.call('GET', `/v3/pods/${podId}`)).status).toBe(200);
    await until(async () => (await podgate.request('hello.pods.localhost', '/')).status === 200);
    expect(podPids(dataDir)).toEqual(before);
  }
  await podgate.stopAndForget();
  await until(() => before.every((pid) => !alive(pid)));
}, 120_000);

test('stopping ends every pod within 10 s, and the next start brings back those that were ON', async () => {
  const dataDir = makeDataDir();
  const first = await Standalone.start({ dataDir });
  await first.pod({ pod_id: 'comes', image: 'podgate/hello' });
  await first.call('POST', '/v3/pods', { pod_id: 'stays', ...off });
  await first.pod({
    pod_id: 'deaf',
    image: 'podgate/process',
    command: ['sh', '-c', 'trap "" TERM; while true; do sleep 1; done'],
    networking: { inner: { protocol: 'local_only', port: 5000 } },
  });
  const pids = podPids(dataDir);
  expect(pids.length).toBe(3);
  const startedMs = performance.now();
  expect(await first.end('SIGINT')).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  expect(pids.filter(alive)).toEqual([]);

  const second = await Standalone.start({ dataDir });
  await second.state('comes', 'AVAILABLE');
  expect((await second.request('comes.pods.localhost', '/')).status).toBe(200);
  expect((await second.call('GET', '/v3/pods/stays')).envelope.result.status).toBe('STOPPED');
  await second.stopAndForget();
}, 60_000);
