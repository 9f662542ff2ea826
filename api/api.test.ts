import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryTrafficExchange } from '#adapters/memory/traffic-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Api } from './api.ts';
import { startApi } from './api.ts';

const folder = mkdtempSync(join(tmpdir(), 'podgate-api-'));
const started: Api[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((api) => api.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(port: number): Promise<Api> {
  const ports = {
    store: new MemoryStore(),
    sealer: openSealer(join(folder, 'secret.key')),
    clock: new ManualClock(Date.UTC(2026, 0, 1)),
    random: systemRandom,
    logs: new MemoryLogExchange(),
    traffic: new MemoryTrafficExchange(),
    routes: new MemoryRouteBus(),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  };
  const api = await startApi(ports, {
    tenant: 'default',
    domain: 'localhost',
    host: '127.0.0.1',
    port,
    publicHttpsPort: 8443,
    trustedProxies: [],
    runtime: 'auto',
    statusCodes: 'http',
    requestsPerMinute: 0,
    programs: { postgres: undefined, neo4j: undefined },
  });
  started.push(api);
  return api;
}

test('answers on the port it names, a taken port is EADDRINUSE, and stopping frees it', async () => {
  const api = await start(0);
  const { port } = api;
  const url = `http://127.0.0.1:${port}/v3/healthcheck`;
  const answer = await fetch(url);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json']);
  await expect(start(port)).rejects.toMatchObject({ code: 'EADDRINUSE', port });
  await api.stop();
  await expect(fetch(url)).rejects.toThrow('fetch failed');
  expect((await start(port)).port).toBe(port);
});
