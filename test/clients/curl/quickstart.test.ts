import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Envelope } from '../../integration/rest-api.ts';
import type { Standalone } from '../../integration/standalone.ts';
import { debian } from '../../programs/debian.ts';
import { jars, java } from '../../programs/maven.ts';
import { startWithNeo4j } from '../../programs/neo4j.ts';
import { available, run } from '../../programs/run.ts';

/** The quickstart of the public documentation, line by line, with curl through the gateway. */

const needed = await available('the quickstart with curl and a Neo4j server', async () => ({
  curl: await debian('/usr/bin/curl', 'curl'),
  java: await java(),
  jars: await jars('neo4j', join(import.meta.dirname, '../neo4j')),
}));

const json = (body: object) => ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)];

describe.skipIf(!needed)('the quickstart', () => {
  let podgate: Standalone;
  let token = '';

  beforeAll(async () => {
    podgate = await startWithNeo4j(needed?.java ?? '', needed?.jars ?? '');
  });
  afterAll(() => podgate.stopAndForget());

  async function curl(path: string, ...options: string[]): Promise<Envelope> {
    const { https } = podgate.ports;
    const argv = [needed?.curl ?? '', '-sS', '--cacert', podgate.caFile];
    const headers = token ? ['-H', `X-Tapis-Token: ${token}`] : [];
    const url = `https://localhost:${https}${path}`;
    const { code, out, err } = await run([...argv, ...headers, ...options, url]);
    expect(code, err).toBe(0);
    return JSON.parse(out) as Envelope;
  }

  test('token, create with template neo4j, get, logs', async () => {
    const login = { username: 'admin', password: podgate.password, grant_type: 'password' };
    const answer = await curl('/v3/oauth2/tokens', ...json(login));
    const issued = answer.result['access_token'] as { access_token: string; expires_in: number };
    expect(issued.expires_in).toBe(14_400);
    token = issued.access_token;

    const pod = { pod_id: 'docpod', template: 'neo4j', description: 'My example pod!' };
    const created = await curl('/v3/pods', ...json(pod));
    expect(created.message).toBe('Pod created successfully.');
    expect(created.result).toMatchObject({
      pod_id: 'docpod',
      template: expect.stringMatching(/^neo4j:latest@/),
      status: 'REQUESTED',
      networking: { default: { protocol: 'tcp', port: 7687, url: 'docpod.pods.localhost' } },
    });

    await podgate.state('docpod', 'AVAILABLE', 90_000);
    expect((await curl('/v3/pods/docpod')).result).toMatchObject({ status: 'AVAILABLE' });
    const { result } = await curl('/v3/pods/docpod/logs');
    expect(result['logs']).toContain("Changed password for user 'neo4j'");
    expect(result['action_logs']).toContainEqual(expect.stringContaining("created by 'admin'"));
  });
});
