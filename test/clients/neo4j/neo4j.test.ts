import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Standalone } from '../../integration/standalone.ts';
import { root } from '../../integration/standalone.ts';
import { withHosts } from '../../programs/hosts.ts';
import { jars, java } from '../../programs/maven.ts';
import { startWithNeo4j } from '../../programs/neo4j.ts';
import { available } from '../../programs/run.ts';
import { Browser, chromium } from '../chromium/browser.ts';
import type { Target } from '../drivers.ts';
import { driver, pythonDrivers } from '../drivers.ts';

const host = 'graph.pods.localhost';
const needed = await available('Neo4j', async () => ({
  java: await java(),
  jars: await jars('neo4j', import.meta.dirname),
  python: await pythonDrivers(),
  // Neither driver lets a caller say where a name is.
  resolving: await withHosts(host),
}));

const browserProgram = await available('Bolt over WebSocket', chromium);

const resolving = (...argv: string[]): string[] => [...(needed?.resolving ?? []), ...argv];

describe.skipIf(!needed)('a Neo4j server behind the gateway', () => {
  let podgate: Standalone;
  let target: Target;

  beforeAll(async () => {
    podgate = await startWithNeo4j(needed?.java ?? '', needed?.jars ?? '');
    // Two programs on the Java machine, one after the other.
    await podgate.pod({ pod_id: 'graph', template: 'neo4j' }, 90_000);
    target = { host, user: 'neo4j', password: await podgate.podPassword('graph') };
  });
  afterAll(() => podgate.stopAndForget());

  test('the Python driver connects by bolt+s:// and neo4j+s://', async () => {
    const argv = resolving(needed?.python ?? '', join(import.meta.dirname, 'driver.py'));
    const answer = [5000, 'w5000'];
    expect(await driver(argv, podgate, target)).toEqual({ 'bolt+s': answer, 'neo4j+s': answer });
  });

  test('the npm driver connects by bolt+s:// and neo4j+s://', async () => {
    const argv = resolving(process.execPath, join(import.meta.dirname, 'driver.ts'));
    const answer = [5000, 15_000];
    expect(await driver(argv, podgate, target)).toEqual({ 'bolt+s': answer, 'neo4j+s': answer });
  });

  test.skipIf(!browserProgram)('a browser connects by Bolt over WebSocket', async () => {
    const home = join(dirname(podgate.dataDir), 'browser');
    const browser = await Browser.start(String(browserProgram), home, {
      caFile: podgate.caFile,
    });
    const bundle = join(root, 'node_modules/neo4j-driver/lib/browser/neo4j-web.min.js');
    await browser.evaluate(readFileSync(bundle, 'utf8'));
    const uri = `bolt+s://${host}:${podgate.ports.https}`;
    const total = await browser.evaluate(`(async () => {
      const auth = neo4j.auth.basic('neo4j', ${JSON.stringify(target.password)});
      const driver = neo4j.driver('${uri}', auth, { disableLosslessIntegers: true });
      const query = 'unwind range(1, 5000) as n return sum(n) as total, count(n) as rows';
      const { records } = await driver.executeQuery(query);
      await driver.close();
      return [records[0].get('total'), records[0].get('rows')];
    })()`);
    expect(total).toEqual([12_502_500, 5000]);
    const created = browser.events.find(({ method }) => method === 'Network.webSocketCreated');
    expect(created?.params).toMatchObject({ url: expect.stringMatching(/^wss:/) });
    await browser.close();
  });
});
