import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { forPods } from '../../programs/cache.ts';
import { goProgram } from '../../programs/go.ts';
import { withHosts } from '../../programs/hosts.ts';
import { available } from '../../programs/run.ts';
import { driver, pythonDrivers } from '../drivers.ts';

const host = 'docs.pods.localhost';
const needed = await available('the MongoDB protocol', async () => ({
  server: await goProgram('ferretdb', join(import.meta.dirname, 'ferretdb')),
  python: await pythonDrivers(),
  resolving: await withHosts(host),
}));

describe.skipIf(!needed)('a MongoDB-protocol server behind the gateway', () => {
  let podgate: Standalone;

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.pod({
      pod_id: 'docs',
      image: 'podgate/process',
      command: [forPods(podgate, needed?.server ?? '')],
      networking: { default: { protocol: 'tcp', port: 27_017 } },
    });
  });
  afterAll(() => podgate.stopAndForget());

  test('pymongo connects with tls=true, writes 5 MB and reads it again', async () => {
    const program = join(import.meta.dirname, 'driver.py');
    const argv = [...(needed?.resolving ?? []), needed?.python ?? '', program];
    const seen = await driver(argv, podgate, { host, user: '', password: '' });
    expect(seen).toEqual({ found: ['word 4998', 'word 4999'], fill: 5_000_000, removed: 10 });
  });
});
