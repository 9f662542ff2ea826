import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../integration/standalone.ts';
import { natsProgram } from '../programs/nats.ts';
import { cancelRequest, postgres, postgresPod, sleepingQueries } from '../programs/postgres.ts';
import { redisProgram } from '../programs/redis.ts';
import { available } from '../programs/run.ts';
import { parseEvents } from '../server-sent-events.ts';
import { TestCluster } from './cluster.ts';

const folder =
  (await available('what replicas do together', async () => {
    await redisProgram();
    await natsProgram();
    return postgres();
  })) ?? '';

describe.skipIf(!folder)('two of each are one', () => {
  let cluster: TestCluster;
  const clients: Client[] = [];

  beforeAll(async () => {
    cluster = await TestCluster.start({ PODGATE_RUNTIME: 'process' });
    await cluster.pod({ pod_id: 'hello', image: 'podgate/hello' });
    await cluster.pod(postgresPod('pgdb', folder));
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
    await cluster?.stop();
  });

  async function connected(gateway: 1 | 2): Promise<Client> {
    const path = '/v3/pods/pgdb/credentials';
    const { envelope } = await cluster.call(gateway, ['GET', path]);
    const ssl = { ca: cluster.ca, servername: 'pgdb.pods.localhost' };
    const client = new Client({
      host: '127.0.0.1',
      port: cluster.ports[`https-${gateway}`],
      user: 'postgres',
      database: 'postgres',
      password: String(envelope.result['user_password']),
      ssl,
    });
    clients.push(client);
    await client.connect();
    return client;
  }

  async function dial(gateway: 1 | 2, session?: Buffer): Promise<tls.TLSSocket> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: cluster.ports[`https-${gateway}`],
      servername: 'hello.pods.localhost',
      ca: cluster.ca,
      ...(session ? { session } : {}),
    });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  }

  test('a query of Postgres at one gateway is cancelled by a request that arrives at the other', async () => {
    const watcher = await connected(1);
    const client = await connected(1);
    const query = client.query('select pg_sleep(60)').then(
      () => 'done',
      (error: Error) => error.message,
    );
    await until(async () => (await sleepingQueries(watcher)) === 1);
    const canceller = net.connect(cluster.ports['https-2'], '127.0.0.1').resume();
    canceller.write(cancelRequest(client));
    await once(canceller, 'close');
    expect(await query).toBe('canceling statement due to user request');
  });

  test('a TLS session of one gateway is resumed at the other', async () => {
    const first = await dial(1);
    // Tickets come after the handshake (RFC 8446, 4.6.1).
    const [session]: Buffer[] = await once(first, 'session');
    first.destroy();
    const second = await dial(2, session);
    expect(second.isSessionReused()).toBe(true);
    second.destroy();
  });

  test('what went through either gateway is summed, whichever api is asked', async () => {
    interface Traffic {
      readonly networks: Readonly<Record<string, { readonly requests: number }>>;
    }
    const requests = async (api: 1 | 2): Promise<number> => {
      const { envelope } = await cluster.call(api, ['GET', '/v3/pods/hello/traffic']);
      return (envelope.result as unknown as Traffic).networks['default']?.requests ?? 0;
    };
    const before = await requests(1);
    for (const gateway of [1, 1, 1, 2, 2] as const) await cluster.request(gateway, 'hello');
    for (const api of [1, 2] as const)
      await until(async () => (await requests(api)) === before + 5);
  });

  test('logs are read and followed from either api, also when another controller takes over', async () => {
    for (const api of [1, 2] as const) {
      const { status } = await cluster.call(api, ['GET', '/v3/pods/hello/logs']);
      expect(status).toBe(200);
      const abort = new AbortController();
      const url = `http://127.0.0.1:${cluster.ports[`api-${api}`]}/v3/pods/pgdb/logs?follow=true&tail=5`;
      const headers = { 'x-tapis-token': cluster.token };
      const response = await fetch(url, { headers, signal: abort.signal });
      expect(response.status).toBe(200);
      let stream = '';
      for await (const chunk of response.body ?? []) {
        stream += Buffer.from(chunk).toString();
        if (parseEvents(stream).length > 0) break;
      }
      abort.abort();
      expect(parseEvents(stream).length).toBeGreaterThan(0);
    }
    await cluster.supervisor.end(await cluster.leader(), 'SIGKILL');
    await cluster.leader();
    await until(async () => (await cluster.call(2, ['GET', '/v3/pods/hello/logs'])).status === 200);
    for (const name of ['controller-1', 'controller-2'] as const) cluster.supervisor.start(name);
    await cluster.allReady();
  });

  test('both serve one authority, and the API is reached through either gateway', async () => {
    const roots = await Promise.all(
      ([1, 2] as const).map(async (api) => {
        const url = `http://127.0.0.1:${cluster.ports[`api-${api}`]}/ca.pem`;
        return (await fetch(url)).text();
      }),
    );
    expect(roots[0]).toContain('BEGIN CERTIFICATE');
    expect(roots[1]).toBe(roots[0]);
    for (const gateway of [1, 2] as const) {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: cluster.ports[`https-${gateway}`],
        servername: 'localhost',
        ca: cluster.ca,
      });
      await once(socket, 'secureConnect');
      socket.write('GET /v3/healthcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      const [answer]: Buffer[] = await once(socket, 'data');
      expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
      socket.destroy();
    }
  });
});
