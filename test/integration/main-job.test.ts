import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseExposition, valueOf } from '../exposition.ts';
import { Standalone, until } from './standalone.ts';

let podgate: Standalone;
beforeAll(async () => {
  podgate = await Standalone.start();
});
afterAll(() => podgate.stopAndForget());

const hello = { image: 'podgate/hello' };

test('the demo pod of the first start answers at its own https address', async () => {
  await podgate.state('hello', 'AVAILABLE');
  const reply = await podgate.request('hello.pods.localhost', '/');
  expect(reply.status).toBe(200);
  expect(reply.body.toString()).toContain('hello');
});

test('a created pod becomes AVAILABLE and is reached over https with the CA trusted', async () => {
  const { status, envelope, headers } = await podgate.call('POST', '/v3/pods', {
    pod_id: 'first',
    ...hello,
  });
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('application/json');
  expect(envelope).toMatchObject({ status: 'success', result: { status: 'REQUESTED' } });
  expect(envelope.result['networking']).toMatchObject({
    default: { protocol: 'http', port: 5000, url: 'first.pods.localhost' },
  });
  await podgate.state('first', 'AVAILABLE');
  expect((await podgate.request('first.pods.localhost', '/')).status).toBe(200);
});

test('AVAILABLE means reachable: the very next request is a 200, ten times', async () => {
  for (let round = 0; round < 10; round += 1) {
    const podId = `ready${round}`;
    await podgate.pod({ pod_id: podId, ...hello });
    expect((await podgate.request(`${podId}.pods.localhost`, '/')).status).toBe(200);
  }
  await Promise.all(
    Array.from({ length: 10 }, (_, round) => podgate.call('DELETE', `/v3/pods/ready${round}`)),
  );
});

test('the API is reached through the gateway at the domain itself', async () => {
  const reply = await podgate.request('localhost', '/v3/pods', {
    headers: { 'x-tapis-token': await podgate.token() },
  });
  expect(reply.status).toBe(200);
  expect(reply.headers['content-type']).toBe('application/json');
  const { result } = JSON.parse(reply.body.toString()) as { result: { pod_id: string }[] };
  expect(result.map((pod) => pod.pod_id)).toContain('hello');
});

test('the CA file is served at the domain, over http and https', async () => {
  const secure = await podgate.request('localhost', '/ca.pem');
  expect(secure.body.toString()).toBe(podgate.ca);
  const plain = await fetch(`http://localhost:${podgate.ports.http}/ca.pem`);
  expect(await plain.text()).toBe(podgate.ca);
});

test('plain http is redirected to https with the public port', async () => {
  const url = `http://127.0.0.1:${podgate.ports.http}/path?x=1`;
  const http = await import('node:http');
  const location = await new Promise<string | undefined>((resolve, reject) => {
    http
      .get(url, { headers: { host: 'hello.pods.localhost' } }, (response) => {
        response.resume();
        expect(response.statusCode).toBe(308);
        resolve(response.headers.location);
      })
      .on('error', reject);
  });
  expect(location).toBe(`https://hello.pods.localhost:${podgate.ports.https}/path?x=1`);
});

test('a stopped pod answers 503 with a page that says so, and start brings it back', async () => {
  await podgate.pod({ pod_id: 'switched', ...hello });
  expect((await podgate.call('GET', '/v3/pods/switched/stop')).status).toBe(200);
  await podgate.state('switched', 'STOPPED');
  const page = await podgate.request('switched.pods.localhost', '/', {
    headers: { accept: 'text/html' },
  });
  expect(page.status).toBe(503);
  expect(page.headers['content-type']).toMatch(/^text\/html/);
  expect(page.body.toString()).toMatch(/stopped/i);
  const json = await podgate.request('switched.pods.localhost', '/');
  expect(json.status).toBe(503);
  expect(JSON.parse(json.body.toString())).toHaveProperty('message');

  expect((await podgate.call('GET', '/v3/pods/switched/start')).status).toBe(200);
  await podgate.state('switched', 'AVAILABLE');
  expect((await podgate.request('switched.pods.localhost', '/')).status).toBe(200);
});

test('restart gives a new run at the same address', async () => {
  await podgate.pod({ pod_id: 'again', ...hello });
  const startedAt = async (): Promise<unknown> =>
    (await podgate.call('GET', '/v3/pods/again')).envelope.result['start_instance_ts'];
  const before = await startedAt();
  const restarted = await podgate.call('GET', '/v3/pods/again/restart');
  expect(restarted.envelope.result['status_requested']).toBe('RESTART');
  await until(async () => ![before, null].includes(await startedAt()));
  await podgate.state('again', 'AVAILABLE');
  expect((await podgate.request('again.pods.localhost', '/')).status).toBe(200);
  const { envelope } = await podgate.call('GET', '/v3/pods/again');
  expect(envelope.result['status_requested']).toBe('ON');
});

test('a deleted pod is gone from the API at once and answers 404 at the edge', async () => {
  await podgate.pod({ pod_id: 'brief', ...hello });
  const deleted = await podgate.call('DELETE', '/v3/pods/brief');
  expect(deleted).toMatchObject({ status: 200, envelope: { result: '' } });
  expect((await podgate.call('GET', '/v3/pods/brief')).status).toBe(404);
  await until(async () => (await podgate.request('brief.pods.localhost', '/')).status === 404);
  await podgate.pod({ pod_id: 'brief', ...hello });
  expect((await podgate.request('brief.pods.localhost', '/')).status).toBe(200);
});

test('logs show what the pod wrote and what was done to it', async () => {
  await podgate.pod({
    pod_id: 'talker',
    image: 'podgate/process',
    command: ['sh', '-c', 'echo "spoken on $PORT for $(WHO)"; exec sleep 1000'],
    environment_variables: { WHO: 'the reader' },
    networking: { inner: { protocol: 'local_only', port: 5000 } },
  });
  await until(async () => {
    const { envelope } = await podgate.call('GET', '/v3/pods/talker/logs');
    return /spoken on \d+ for the reader/.test(String(envelope.result['logs']));
  });
  const { envelope } = await podgate.call('GET', '/v3/pods/talker/logs');
  const actions = envelope.result['action_logs'] as string[];
  expect(actions[0]).toContain("created by 'admin'");
  expect(actions.join('\n')).toContain('AVAILABLE');
});

test('a program that ends with 0 is COMPLETE, one that fails becomes ERROR with its reason', async () => {
  const networking = { inner: { protocol: 'local_only', port: 5000 } };
  const process = { image: 'podgate/process', networking };
  await podgate.call('POST', '/v3/pods', { pod_id: 'done', ...process, command: ['true'] });
  await podgate.state('done', 'COMPLETE');
  const missing = { pod_id: 'missing', ...process, command: ['/no/such/program'] };
  await podgate.call('POST', '/v3/pods', missing);
  await until(async () => {
    const { envelope } = await podgate.call('GET', '/v3/pods/missing');
    const container = envelope.result['status_container'] as { message?: string };
    return /no\/such\/program|not found|ENOENT/i.test(container.message ?? '');
  });
});

test('a name nobody gave out gets a 404 page, a foreign name no handshake', async () => {
  const reply = await podgate.request('nobody.pods.localhost', '/', {
    headers: { accept: 'text/html' },
  });
  expect(reply.status).toBe(404);
  await expect(podgate.request('example.org', '/')).rejects.toThrow(/unrecognized name|alert/i);
});

test('the gateway listens on IPv6 as well', async () => {
  const net = await import('node:net');
  await new Promise<void>((resolve, reject) => {
    const socket = net.connect(podgate.ports.https, '::1', () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
});

test('health is told on the admin port', async () => {
  const admin = `http://127.0.0.1:${podgate.ports.admin}`;
  expect((await fetch(`${admin}/healthz`)).status).toBe(200);
  expect((await fetch(`${admin}/readyz`)).status).toBe(200);
  const scrape = await parseExposition({
    metrics: async () => (await fetch(`${admin}/metrics`)).text(),
  });
  for (const part of ['api', 'certs', 'gateway', 'controller']) {
    expect(valueOf(scrape, 'podgate_part_ready', { part }), part).toBe(1);
  }
});

test('the three printed commands work exactly as printed', async () => {
  const { execFile } = await import('node:child_process');
  const printed = podgate.output.slice(podgate.output.indexOf('TOKEN='));
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile('bash', ['-ec', printed], { timeout: 40_000 }, (error, out, err) =>
      error ? reject(new Error(`${error.message}\n${out}\n${err}`)) : resolve(out),
    );
  });
  expect(stdout).toContain('"pod_id":"mypod"');
  expect(stdout).toContain('<html');
});
