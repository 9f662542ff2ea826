import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { postgres, postgresPod } from '../programs/postgres.ts';
import { available, run } from '../programs/run.ts';
import { Standalone, until } from './standalone.ts';

/** What a network's fields ask for, from POST /v3/pods to the bytes on the wire. */

const pgFolder = (await available('Postgres with its own certificate', postgres)) ?? '';
const folder = mkdtempSync(join(tmpdir(), 'podgate-fields-'));
const ownHost = 'own.pods.localhost';
const databaseHost = 'owndb.pods.localhost';

let podgate: Standalone;
/** A certificate that the gateway has nothing to do with. */
let own: { readonly cert: string; readonly key: string };

beforeAll(async () => {
  const argv =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
    `-days 2 -subj /CN=pod -addext subjectAltName=DNS:${ownHost},DNS:${databaseHost}`;
  execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  own = { cert: read('c.pem'), key: read('k.pem') };
  podgate = await Standalone.start();
});
afterAll(async () => {
  await podgate.stopAndForget();
  rmSync(folder, { recursive: true });
});

/** Connects and resolves with what happened: the answer to a line, or the error. */
async function ask(
  servername: string,
  options: tls.ConnectionOptions = {},
): Promise<{ answer?: string; error?: string; alpn?: string | false | null }> {
  const { https: port } = podgate.ports;
  const target = { host: '127.0.0.1', port, servername, ca: podgate.ca };
  const socket = tls.connect({ ...target, ...options });
  try {
    await once(socket, 'secureConnect');
    socket.write('abc\n');
    const closed = once(socket, 'close').then(() =>
      Promise.reject(new Error('closed, unanswered')),
    );
    const [answer] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer];
    return { answer: answer.toString(), alpn: socket.alpnProtocol };
  } catch (error) {
    return { error: String(error) };
  } finally {
    socket.destroy();
  }
}

const networking = async (podId: string): Promise<unknown> =>
  (await podgate.call('GET', `/v3/pods/${podId}`)).envelope.result['networking'];

test('tls passthrough: the pod ends TLS itself, the gateway never sees the key', async () => {
  await podgate.pod({
    pod_id: 'own',
    image: 'podgate/process',
    command: [
      'sh',
      '-c',
      'umask 077; printf %s "$CERT" > c.pem; printf %s "$KEY" > k.pem; ' +
        'exec openssl s_server -accept "127.0.0.1:$PORT" -cert c.pem -key k.pem -alpn mqtt -rev -quiet',
    ],
    environment_variables: { CERT: own.cert, KEY: own.key },
    networking: { default: { protocol: 'tcp', port: 8883, tls: 'passthrough' } },
  });
  expect(await networking('own')).toMatchObject({ default: { tls: 'passthrough' } });
  const trusting = { ca: own.cert, ALPNProtocols: ['mqtt'] };
  expect(await ask(ownHost, trusting)).toEqual({ answer: 'cba\n', alpn: 'mqtt' });
  expect((await ask(ownHost)).error).toMatch(/self-signed certificate/);
  await podgate.call('GET', '/v3/pods/own/stop');
  await podgate.state('own', 'STOPPED');
  expect((await ask(ownHost, trusting)).error).toMatch(/internal.error/);
});

describe.skipIf(!pgFolder)('tls passthrough of Postgres', () => {
  test('psql verifies the pod’s own certificate and binds the login to it', async () => {
    const pod = postgresPod('owndb', pgFolder);
    const [shell = '', flag = '', script = ''] = pod.command;
    const withTls =
      'umask 077; printf %s "$CERT" > c.pem; printf %s "$KEY" > k.pem; ' +
      `${script} -c ssl=on -c ssl_cert_file="$PWD/c.pem" -c ssl_key_file="$PWD/k.pem"`;
    const { environment_variables } = pod;
    await podgate.pod({
      ...pod,
      command: [shell, flag, withTls],
      environment_variables: { ...environment_variables, CERT: own.cert, KEY: own.key },
      networking: { default: { protocol: 'postgres', port: 5432, tls: 'passthrough' } },
    });
    const conninfo =
      `host=${databaseHost} hostaddr=127.0.0.1 port=${podgate.ports.https} user=postgres ` +
      `dbname=postgres sslmode=verify-full sslrootcert=${join(folder, 'c.pem')} ` +
      'channel_binding=require connect_timeout=10';
    const argv = [`${pgFolder}/psql`, '-X', '-At', '-c', 'select 6 * 7', conninfo];
    const env = { PGPASSWORD: await podgate.podPassword('owndb') };
    expect(await run(argv, { env })).toMatchObject({ code: 0, out: '42\n' });
  }, 120_000);
});

test('alpn: the network’s names are offered best first, others are left unanswered', async () => {
  await podgate.pod({
    pod_id: 'broker',
    image: 'podgate/hello',
    environment_variables: { HELLO_TCP: 'queue' },
    networking: { default: {}, queue: { protocol: 'tcp', port: 9000, alpn: ['amqp', 'mqtt'] } },
  });
  expect(await networking('broker')).toMatchObject({ queue: { alpn: ['amqp', 'mqtt'] } });
  const host = 'broker-queue.pods.localhost';
  const offered = async (...ALPNProtocols: string[]) => (await ask(host, { ALPNProtocols })).alpn;
  expect(await offered('mqtt', 'amqp')).toBe('amqp');
  expect(await offered('h2', 'mqtt')).toBe('mqtt');
  expect(await offered('h2', 'http/1.1')).toBe(false);
});

test('ip_allow_list: an address that is not on it never reaches the pod; an edit counts at once', async () => {
  const pod = {
    pod_id: 'listed',
    image: 'podgate/hello',
    environment_variables: { HELLO_TCP: 'echo' },
  };
  const echo = { protocol: 'tcp', port: 9000 };
  const networks = (...ip_allow_list: string[]) => ({
    echo: { ...echo, ip_allow_list },
    default: { protocol: 'postgres', port: 5432, ip_allow_list },
  });
  await podgate.pod({ ...pod, networking: networks('192.0.2.0/24', '2001:db8::/32') });
  expect(await networking('listed')).toMatchObject({
    echo: { ip_allow_list: ['192.0.2.0/24', '2001:db8::/32'] },
  });
  const host = 'listed-echo.pods.localhost';
  expect((await ask(host)).error).toMatch(/access.denied/);
  if (pgFolder) {
    const conninfo =
      `host=listed.pods.localhost hostaddr=127.0.0.1 port=${podgate.ports.https} user=postgres ` +
      `sslmode=verify-full sslrootcert=${podgate.caFile} connect_timeout=10`;
    const { err } = await run([`${pgFolder}/psql`, '-X', '-c', 'select 1', conninfo]);
    expect(err).toContain(
      'not allowed: 127.0.0.1 is not on the allow list of listed.pods.localhost',
    );
  }

  const edited = { networking: networks('127.0.0.0/8') };
  const { status, envelope } = await podgate.call('PUT', '/v3/pods/listed', edited);
  expect(status, JSON.stringify(envelope)).toBe(200);
  await until(async () => (await ask(host)).answer !== undefined);
  expect((await ask(host, { host: '::1' })).error).toMatch(/access.denied/);
});

test('a tcp network whose pod takes WebSockets is reached by browsers, and says when it is off', async () => {
  await podgate.pod({
    pod_id: 'web',
    image: 'podgate/hello',
    networking: { default: { protocol: 'tcp', port: 7687 } },
  });
  const host = 'web.pods.localhost';
  const { https: port } = podgate.ports;
  const target = { host: '127.0.0.1', port, servername: host, ca: podgate.ca };
  const socket = new WebSocket(`wss://127.0.0.1:${port}/ws`, { ...target, headers: { host } });
  await once(socket, 'open');
  socket.send('over tcp');
  const [message] = (await once(socket, 'message')) as [Buffer];
  expect(message.toString()).toBe('over tcp');
  socket.close();
  await podgate.call('GET', '/v3/pods/web/stop');
  await podgate.state('web', 'STOPPED');
  const page = await podgate.request(host, '/', { headers: { accept: 'text/html' } });
  expect(page.status).toBe(503);
  expect(page.headers['content-type']).toMatch(/^text\/html/);
  expect(page.body.toString()).toContain('EDGE_POD_STOPPED');
});
