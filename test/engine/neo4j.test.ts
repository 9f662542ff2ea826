import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { driver } from '../clients/drivers.ts';
import { root, Standalone } from '../integration/standalone.ts';
import { makeNeo4jImage } from '../programs/database-images.ts';
import { withHosts } from '../programs/hosts.ts';
import { jars, java } from '../programs/maven.ts';
import { Podman } from '../programs/podman.ts';
import { available } from '../programs/run.ts';

const host = 'graph.pods.localhost';
const drivers = join(root, 'test/clients/neo4j');
const needed = await available('Neo4j in a container', async () => ({
  java: await java(),
  jars: await jars('neo4j', drivers),
  // The driver does not let a caller say where a name is.
  resolving: await withHosts(host),
  podman: await Podman.start(),
}));

describe.skipIf(!needed)('a Neo4j server in a container', () => {
  let podgate: Standalone;

  beforeAll(async () => {
    if (!needed) return;
    const { podman } = needed;
    await makeNeo4jImage(podman, needed.java, needed.jars);
    podgate = await Standalone.start({ env: { DOCKER_HOST: podman.host } });
    await podgate.pod({ pod_id: 'graph', template: 'neo4j' }, 120_000);
  });
  afterAll(async () => {
    await podgate?.stopAndForget();
    await needed?.podman.stop();
  });

  test('the npm driver connects to the template as it comes, by bolt+s:// and neo4j+s://', async () => {
    const argv = [...(needed?.resolving ?? []), process.execPath, join(drivers, 'driver.ts')];
    const target = { host, user: 'neo4j', password: await podgate.podPassword('graph') };
    const answer = [5000, 15_000];
    expect(await driver(argv, podgate, target)).toEqual({ 'bolt+s': answer, 'neo4j+s': answer });
  });

  test('its HTTP port is the network browser', async () => {
    const { status, body } = await podgate.request('graph-browser.pods.localhost', '/');
    expect([status, JSON.parse(body.toString())]).toMatchObject([
      200,
      { neo4j_edition: 'community' },
    ]);
  });

  test('the server is the user of its image, without capabilities', async () => {
    const [container = ''] = ((await needed?.podman.run('ps', '-q')) ?? '').trim().split('\n');
    const shown = await needed?.podman.run(
      'inspect',
      container,
      '-f',
      '{{.Config.User}} {{.EffectiveCaps}}',
    );
    expect(shown?.trim()).toBe('7474:7474 []');
  });
});
