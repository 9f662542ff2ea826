import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone, until } from '../integration/standalone.ts';
import { makePostgresImage } from '../programs/database-images.ts';
import { busyboxImage, helloImage, makeHelloImage } from '../programs/images.ts';
import { Podman } from '../programs/podman.ts';
import { postgres } from '../programs/postgres.ts';
import { ImageRegistry, onlyAda } from '../programs/registry.ts';
import { available, run } from '../programs/run.ts';

const podman = await available('pods as containers', () => Podman.start());
const folder = await available('Postgres in a container', postgres);
const registry = await available('images of a registry', () => ImageRegistry.start(onlyAda));

const minute = 60_000;
const small = { cpu_request: 250, cpu_limit: 1000, mem_request: 256, mem_limit: 256 };

/** Ids of the containers of a pod that run. */
const containers = async (podId: string): Promise<string[]> => {
  const out = await podman?.run('ps', '--filter', `name=podgate-default-${podId}-`, '-q');
  return (out ?? '')
    .trim()
    .split('\n')
    .filter((id) => id !== '');
};

describe.skipIf(!podman)('pods as containers', () => {
  let podgate: Standalone;
  const start = (): Promise<Standalone> => {
    const kept = podgate ? { ports: podgate.ports, dataDir: podgate.dataDir } : {};
    return Standalone.start({ ...kept, env: { DOCKER_HOST: podman?.host } });
  };

  beforeAll(async () => {
    if (!podman) return;
    await makeHelloImage(podman);
    if (folder) await makePostgresImage(podman);
    podgate = await start();
    const images = ['busybox', 'hello'].map((name) => `localhost/${name}`);
    if (registry) images.push(`${registry.server}/none`);
    const list = images.map((image) => ({ image, tenants: ['*'] }));
    const { status } = await podgate.call('POST', '/v3/pods/images/bulk', list);
    expect(status).toBeLessThan(300);
  });
  afterAll(async () => {
    await podgate?.stopAndForget();
    await podman?.stop();
    await registry?.stop();
  });

  const create = async (pod: { pod_id: string } & Record<string, unknown>): Promise<void> => {
    const { status, envelope } = await podgate.call('POST', '/v3/pods', {
      resources: small,
      ...pod,
    });
    expect(status, JSON.stringify(envelope)).toBeLessThan(300);
  };
  const shell = (podId: string, script: string, more: object = {}): Promise<void> =>
    create({ pod_id: podId, image: busyboxImage, command: ['sh', '-c', script], ...more });
  const message = async (podId: string): Promise<string> => {
    const { envelope } = await podgate.call('GET', `/v3/pods/${podId}`);
    return JSON.stringify(envelope.result['status_container']);
  };
  const logs = async (podId: string): Promise<{ logs: string; action_logs: string[] }> => {
    const { envelope } = await podgate.call('GET', `/v3/pods/${podId}/logs`);
    return envelope.result as unknown as { logs: string; action_logs: string[] };
  };
  const says = (podId: string, text: RegExp): Promise<void> => {
    let last = '';
    return until(
      async () => text.test((last = await message(podId))),
      () => `${podId} to say ${text}: ${last}`,
      minute,
    );
  };
  const forget = async (podId: string): Promise<void> => {
    await podgate.call('DELETE', `/v3/pods/${podId}`);
  };

  test('the start says which engine runs containers, and built-in images go without', async () => {
    expect(podgate.output).toContain(`Containers     ${podman?.host}`);
    await podgate.state('hello', 'AVAILABLE');
    expect(await containers('hello')).toEqual([]);
  });

  test('a container is reached over https, by its image and nothing else', async () => {
    await create({ pod_id: 'web', image: helloImage });
    await podgate.state('web', 'AVAILABLE', minute);
    const { status, body } = await podgate.request('web.pods.localhost', '/healthz');
    expect([status, JSON.parse(body.toString())]).toEqual([200, { status: 'ok' }]);
    await forget('web');
    await until(async () => (await containers('web')).length === 0);
  });

  test.skipIf(!folder)(
    'psql reaches a Postgres in a container on the port of the gateway',
    async () => {
      await create({
        pod_id: 'pgdb',
        template: 'postgres',
        resources: { ...small, mem_limit: 1024 },
      });
      await podgate.state('pgdb', 'AVAILABLE', minute);
      const conninfo =
        `host=pgdb.pods.localhost hostaddr=127.0.0.1 port=${podgate.ports.https} user=pgdb ` +
        `dbname=postgres sslmode=verify-full sslrootcert=${podgate.caFile}`;
      const argv = [
        `${folder}/psql`,
        '-X',
        '-At',
        '-c',
        'select sum(n) from generate_series(1,1000) n',
      ];
      const env = { PATH: process.env['PATH'], PGPASSWORD: await podgate.podPassword('pgdb') };
      const { code, out, err } = await run([...argv, conninfo], { env });
      expect([code, out, err]).toEqual([0, '500500\n', '']);
      await podgate.call('GET', '/v3/pods/pgdb/stop');
      await podgate.state('pgdb', 'STOPPED', minute);
      // By the signal that its image names, which Postgres calls a fast shutdown.
      expect((await logs('pgdb')).logs).toContain('received fast shutdown request');
      await forget('pgdb');
    },
  );

  test('a program that ends well is COMPLETE, and its output stays', async () => {
    await shell('done', 'echo the work is done');
    await podgate.state('done', 'COMPLETE', minute);
    expect((await logs('done')).logs).toBe('the work is done\n');
    await until(async () => (await containers('done')).length === 0);
    await forget('done');
  });

  test('a program that crashes is started again, and ERROR with its last words in the end', async () => {
    await shell('crash', 'echo no disk; exit 7');
    await says('crash', /exit code 7; it starts again 1 s later.*no disk/);
    await podgate.state('crash', 'ERROR', 2 * minute);
    expect(await message('crash')).toMatch(
      /exit code 7 \(failed 5 times within 10 minutes\).*no disk/,
    );
    const runs = ['', ...[2, 3, 4, 5].map((number) => `--- run ${number} ---\n`)];
    expect((await logs('crash')).logs).toBe(runs.map((begins) => `${begins}no disk\n`).join(''));
    await forget('crash');
  });

  test('a program that ignores SIGTERM is ended all the same', async () => {
    await shell('stubborn', 'trap "" TERM; echo up; while :; do sleep 1; done');
    await until(async () => (await logs('stubborn')).logs === 'up\n', undefined, minute);
    await podgate.call('GET', '/v3/pods/stubborn/stop');
    await podgate.state('stubborn', 'STOPPED', minute);
    expect(await containers('stubborn')).toEqual([]);
    await forget('stubborn');
  });

  test('a program that exceeds its memory is told so', async () => {
    await shell(
      'greedy',
      'x=aaaaaaaaaaaaaaaa; while :; do x=$$x$$x; done'.replaceAll('$$', '$$$$'),
    );
    await says('greedy', /memory limit of 256 MiB/);
    await forget('greedy');
  });

  test.skipIf(!registry)('an image that may not be had is ERROR and named', async () => {
    await create({ pod_id: 'noimage', image: `${registry?.server}/none:1` });
    await podgate.state('noimage', 'ERROR', minute);
    expect(await message('noimage')).toMatch(/none:1 cannot be fetched: .*auth/i);
    const { action_logs: actions } = await logs('noimage');
    expect(actions.join('\n')).toMatch(/Fetching the image 127.0.0.1:\d+\/none:1 began/);
    await forget('noimage');
  });

  test('a program that listens late is AVAILABLE then', async () => {
    await shell('late', 'sleep 3; while :; do echo hi | nc -l -p 5000; done', {
      networking: { default: { protocol: 'tcp', port: 5000 } },
    });
    await says('late', /does not listen on port 5000 yet.*0\.0\.0\.0/);
    await podgate.state('late', 'AVAILABLE', minute);
    await forget('late');
  });

  test('a program that never listens stays CREATING and is told so', async () => {
    await shell('mute', 'nc -l -s 127.0.0.1 -p 5000');
    await says('mute', /does not listen on port 5000 yet.*127\.0\.0\.1/);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await podgate.state('mute', 'CREATING');
    await forget('mute');
  });

  test('pods of a tenant find one that is local only by its name, and clients do not', async () => {
    await shell('mydb', 'while :; do echo from mydb | nc -l -p 5000; done', {
      networking: { default: { protocol: 'local_only', port: 5000 } },
    });
    await podgate.state('mydb', 'AVAILABLE', minute);
    await shell('asker', 'until nc mydb 5000; do sleep 0.2; done');
    await until(async () => /from mydb/.test((await logs('asker')).logs), undefined, minute);
    const { status } = await podgate.request('mydb.pods.localhost', '/');
    expect(status).toBe(404);
    const ports = await podman?.run(
      'ps',
      '--filter',
      'name=podgate-default-mydb-',
      '--format',
      '{{.Ports}}',
    );
    expect(ports?.trim()).toBe('');
    await forget('mydb');
    await forget('asker');
  });

  test('a pod is nobody, can gain nothing, and is reached on the loopback only', async () => {
    await shell('meek', 'id -u; grep -E "Cap(Eff|Bnd)|NoNewPrivs" /proc/self/status; sleep 300');
    await until(async () => /NoNewPrivs/.test((await logs('meek')).logs), undefined, minute);
    expect((await logs('meek')).logs.replaceAll(/\s+/g, ' ').trim()).toBe(
      '65532 CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1',
    );
    const ports = await podman?.run(
      'ps',
      '--filter',
      'name=podgate-default-meek-',
      '--format',
      '{{.Ports}}',
    );
    expect(ports?.trim()).toMatch(/^127\.0\.0\.1:\d+->5000\/tcp$/);
    await forget('meek');
  });

  test('pods outlive kill -9 of the controller, and the next one finds them', async () => {
    await create({ pod_id: 'keeper', image: helloImage });
    await shell('ended', 'echo up; sleep 6; echo bye; exit 9');
    await podgate.state('keeper', 'AVAILABLE', minute);
    await until(async () => (await logs('ended')).logs === 'up\n', undefined, minute);
    const before = await containers('keeper');
    await podgate.end('SIGKILL');
    // What ends meanwhile is known by its exit code.
    await until(async () => (await containers('ended')).length === 0, undefined, minute);
    podgate = await start();
    await podgate.state('keeper', 'AVAILABLE', minute);
    expect(await containers('keeper')).toEqual(before);
    const { status } = await podgate.request('keeper.pods.localhost', '/healthz');
    expect(status).toBe(200);
    await until(
      async () => /exit code 9/.test((await logs('ended')).action_logs.join()),
      undefined,
      minute,
    );
    expect((await logs('ended')).logs).toMatch(/^up\nbye\n/);
    await forget('ended');
  });

  test('pods are served while the engine is away, and what was asked meanwhile is done after', async () => {
    await podman?.kill();
    expect((await podgate.request('keeper.pods.localhost', '/healthz')).status).toBe(200);
    await create({ pod_id: 'patient', image: helloImage });
    await says('patient', /does not answer.*it is asked again/);
    await podman?.start();
    await podgate.state('patient', 'AVAILABLE', minute);
    await podgate.state('keeper', 'AVAILABLE', minute);
    await forget('patient');
    await forget('keeper');
  });

  test('a container that somebody removes is made anew', async () => {
    await create({ pod_id: 'robbed', image: helloImage });
    await podgate.state('robbed', 'AVAILABLE', minute);
    const [before = ''] = await containers('robbed');
    await podman?.run('rm', '-f', '-t', '0', before);
    await until(
      async () => ![before, undefined].includes((await containers('robbed'))[0]),
      undefined,
      minute,
    );
    await podgate.state('robbed', 'AVAILABLE', minute);
    await forget('robbed');
  });

  test('what is not ours is left alone', async () => {
    await podman?.run('run', '-d', '--name', 'foreign', busyboxImage, 'sleep', '600');
    await shell('brief', 'true');
    await podgate.state('brief', 'COMPLETE', minute);
    await forget('brief');
    await podgate.end();
    podgate = await start();
    const state = await podman?.run('ps', '--filter', 'name=foreign', '--format', '{{.State}}');
    expect(state).toMatch(/^(?:Up|running)/);
    await podman?.run('rm', '-f', '-t', '0', 'foreign');
  });

  test('100 pods at once', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `many${i}`);
    // Once, as logins are counted.
    await podgate.token();
    const began = performance.now();
    const script = 'while :; do printf "HTTP/1.0 200 OK\\r\\n\\r\\nok" | nc -l -p 5000; done';
    await Promise.all(names.map((name) => shell(name, script)));
    for (const name of names) await podgate.state(name, 'AVAILABLE', 5 * minute);
    const seconds = (performance.now() - began) / 1_000;
    process.stdout.write(`100 pods at once: all AVAILABLE after ${seconds.toFixed(1)} s\n`);
    await Promise.all(names.map(forget));
    await until(
      async () =>
        (await containers('many')).length === 0 && (await containers('many99')).length === 0,
      undefined,
      2 * minute,
    );
  });

  test('Ctrl-C stops all containers', async () => {
    await create({ pod_id: 'last', image: helloImage });
    await podgate.state('last', 'AVAILABLE', minute);
    const out = await podman?.run('port', (await containers('last'))[0] ?? '');
    const port = Number(out?.trim().split(':').at(-1));
    expect(port).toBeGreaterThan(0);
    await podgate.end();
    expect(await containers('last')).toEqual([]);
    await new Promise((resolve) => connect(port, '127.0.0.1').once('error', resolve));
  });
});
