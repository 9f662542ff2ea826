import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newRecord } from '../../controller/runtime/engine/records.ts';
import { writeRecord } from '../../controller/runtime/records.ts';
import { settleRuntime } from './runtime.ts';

const fresh = mkdtempSync(join(tmpdir(), 'podgate-runtime-'));
const used = mkdtempSync(join(tmpdir(), 'podgate-runtime-'));
beforeAll(() => {
  const networks = [{ name: 'default', protocol: 'http', port: 80 }] as const;
  const label = { key: 'default/a', run: 1, podCreatedAtMs: 0, networks: [...networks] };
  const record = newRecord({ ...label, memoryLimitMi: 256 }, 0, 0);
  writeRecord(join(used, 'containers/default/a'), record);
  mkdirSync(join(fresh, 'containers/default'), { recursive: true });
});
afterAll(() => [fresh, used].forEach((folder) => rmSync(folder, { recursive: true })));

const choice = (kind: 'auto' | 'engine' | 'process') => ({
  kind,
  engine: { address: { socketPath: '/nowhere' }, runtimeDir: undefined },
  processUser: undefined,
  registryFile: undefined,
  rootTemplates: new Set<string>(),
});

test('without an engine, "auto" has no containers, unless pods have run in some', async () => {
  expect((await settleRuntime(choice('auto'), fresh)).kind).toBe('auto');
  await expect(settleRuntime(choice('auto'), used)).rejects.toThrow(
    'pods of this data directory run in containers, and no container engine answers (tried unix:///nowhere)',
  );
  expect((await settleRuntime(choice('process'), used)).kind).toBe('process');
});

test('an engine that is asked for has to answer', async () => {
  await expect(settleRuntime(choice('engine'), fresh)).rejects.toThrow(
    /PODGATE_RUNTIME is "engine", .*DOCKER_HOST/,
  );
});
