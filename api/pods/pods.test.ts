import { assert, constantFrom, property, string, uniqueArray } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { podHost } from '#contracts/hosts.ts';
import type { PodStatus } from '#contracts/pod.ts';
import { desiredPods, podStatuses } from '#contracts/pod.ts';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';
import { logsOf } from '../../test/log-examples.ts';
import { networkingProblem, zNewPod } from './schemas.ts';

let bench: Bench;
const image = 'podgate/hello';
const users = ['ada', 'admin', 'reader', 'user', 'manager', 'stranger'];

beforeAll(async () => {
  bench = await openBench();
  await Promise.all(users.map((name) => bench.addUser(name, 'pass word', name === 'admin')));
}, 30_000);

afterAll(() => bench.close());

type Fields = Record<string, unknown>;
const ada = (...args: Parameters<ReturnType<Bench['as']>>) => bench.as('ada')(...args);
const create = (pod_id: string, more: Fields = {}): Promise<Answer> =>
  ada('POST', '/v3/pods', { body: { pod_id, image, ...more } });
const act = (pod: string, verb: string): Promise<Answer> => ada('GET', `/v3/pods/${pod}/${verb}`);
const shown = async (pod: string): Promise<Fields> =>
  (await ada('GET', `/v3/pods/${pod}`)).body.result as Fields;
const stored = async (pod: string) => (await desiredPods(bench.store).get(`default/${pod}`))?.value;

async function report(pod: string, changes: Partial<PodStatus>): Promise<void> {
  const status: PodStatus = {
    state: 'AVAILABLE',
    generation: 1,
    message: '',
    phase: '',
    startedAtMs: null,
    stopAtMs: null,
    expiredGeneration: null,
    failuresAtMs: [],
    run: 1,
    actions: [],
    ...changes,
  };
  await podStatuses(bench.store).put(`default/${pod}`, status, 'anything');
}

describe('create_pod', () => {
  test('answers with every field and its default', async () => {
    const answer = await create('defaults');
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      message: 'Pod created successfully.',
      metadata: {},
      status: 'success',
      version: '0.1.0',
      result: {
        pod_id: 'defaults',
        image,
        template: '',
        description: '',
        command: null,
        arguments: null,
        environment_variables: {},
        status_requested: 'ON',
        volume_mounts: {},
        time_to_stop_default: 43_200,
        time_to_stop_instance: null,
        networking: {
          default: {
            protocol: 'http',
            port: 5000,
            url: 'defaults.pods.localhost',
            tls: 'terminate',
            upstream_protocol: 'http1',
            alpn: [],
            ip_allow_list: [],
            tapis_auth: false,
            tapis_auth_response_headers: {},
            tapis_auth_allowed_users: ['*'],
            tapis_auth_return_path: '/',
            cors_allow_origins: [],
            cors_allow_methods: [],
            cors_allow_headers: [],
            cert_state: 'none',
            certificate: expect.objectContaining({ mode: 'own', phase: 'none' }),
            cors_allow_credentials: false,
            cors_max_age: 100,
            tapis_ui_uri: '',
            tapis_ui_uri_redirect: false,
            tapis_ui_uri_description: '',
            proxy_compression: true,
            proxy_compression_encodings: ['zstd', 'br', 'gzip'],
            proxy_compression_excluded_content_types: [],
            proxy_compression_min_response_body_bytes: 1024,
          },
        },
        resources: {
          cpu_request: 250,
          cpu_limit: 2000,
          mem_request: 256,
          mem_limit: 3072,
          gpus: 0,
        },
        compute_queue: 'default',
        time_to_stop_ts: null,
        status: 'REQUESTED',
        status_container: {},
        creation_ts: '2026-01-01T12:00:00.000000',
        update_ts: '2026-01-01T12:00:00.000000',
        start_instance_ts: null,
      },
    });
    expect(await shown('defaults')).toEqual(answer.body.result);
  });

  const idRule = 'body, pod_id: must be lowercase alphanumeric, the first character a letter';
  const port = 'body, networking, default, port: must be a port from 10 to 65535';
  test.each<[Fields, string]>([
    [{ pod_id: undefined }, 'body, pod_id: Field required'],
    [{ image: undefined }, 'body, image: Field required, or name a template'],
    [{ pod_id: 'Upper' }, idRule],
    [{ pod_id: '1abc' }, idRule],
    [{ pod_id: 'a-b' }, idRule],
    [{ pod_id: 'ab' }, 'body, pod_id: must have at least 3 characters'],
    [{ pod_id: 'a'.repeat(64) }, 'body, pod_id: must have at most 63 characters'],
    [{ pod_id: 'templates' }, 'body, pod_id: is a reserved word, choose another'],
    [{ colour: 'red' }, 'body, colour: Unknown field, remove it'],
    [{ description: 'é' }, 'body, description: must be ASCII'],
    [{ description: 'a'.repeat(256) }, 'body, description: must have at most 255 characters'],
    [{ environment_variables: { A: 1 } }, 'body, environment_variables, A: must be a string'],
    [{ status_requested: 'RESTART' }, 'body, status_requested: must be ON or OFF for a new pod'],
    [{ volume_mounts: { '/data': {} } }, 'body, volume_mounts: is not available yet, leave it out'],
    [
      { time_to_stop_default: 299 },
      'body, time_to_stop_default: must be -1 (never) or at least 300 seconds',
    ],
    [{ networking: {} }, 'body, networking: has no network, name at least one'],
    [{ networking: { default: { port: 9 } } }, port],
    [{ networking: { default: { port: 65_536 } } }, port],
    [
      { networking: { default: { protocol: 'udp' } } },
      'body, networking, default, protocol: must be http, tcp, postgres or local_only',
    ],
    [
      { networking: { default: { speed: 1 } } },
      'body, networking, default, speed: Unknown field, remove it',
    ],
    [
      { networking: { one: {}, two: {}, three: {}, four: {}, five: {} } },
      'body, networking: has more than 4 networks',
    ],
    [
      { resources: { cpu_request: 3000 } },
      'body, resources, cpu_request: must not be more than cpu_limit',
    ],
    [{ resources: { mem_limit: 20_000 } }, 'body, resources, mem_limit: must be at most 12288 MiB'],
    [{ template: 'neo4j' }, 'body, template: there is no template neo4j that you may read'],
    [{ compute_queue: 'gpu' }, 'body, compute_queue: there is only the queue default'],
  ])('refuses %j and names the field', async (change, text) => {
    const answer = await create('invalid', change);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toEqual([text]);
    expect(await stored('invalid')).toBeUndefined();
  });

  test('names every problem at once', async () => {
    const { body } = await create('X', { colour: 'red', time_to_stop_default: 1 });
    expect(body.message.length).toBeGreaterThanOrEqual(3);
  });

  test('any pod that is accepted has host labels of at most 63 characters', () => {
    const unit = constantFrom('a', 'b', 'x', 'y');
    const name = string({ unit, minLength: 3, maxLength: 63, size: 'max' });
    const seen = { accepted: 0, refused: 0 };
    assert(
      property(name, uniqueArray(name, { minLength: 1, maxLength: 2 }), (pod_id, names) => {
        const networking = Object.fromEntries(names.map((key) => [key, {}]));
        const accepted = zNewPod.safeParse({ pod_id, image, networking }).success;
        seen[accepted ? 'accepted' : 'refused'] += 1;
        const fits = names.every((key) => {
          return Number(podHost(pod_id, key, 'x').split('.')[0]?.length) <= 63;
        });
        expect(networkingProblem(pod_id, networking) === undefined).toBe(fits);
        expect(fits || !accepted).toBe(true);
      }),
    );
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(5);
  });

  test('refuses a pod_id that is taken', async () => {
    await create('twice');
    const answer = await create('twice');
    expect(answer.status).toBe(409);
    expect(answer.body.message).toContain("pod_id 'twice' already exists");
  });

  test('goes on counting runs where a pod that is not cleaned up yet ended', async () => {
    await create('again');
    await report('again', { generation: 4 });
    expect((await ada('DELETE', '/v3/pods/again')).body.result).toBe('');
    expect((await ada('GET', '/v3/pods/again')).status).toBe(404);
    await create('again');
    expect((await stored('again'))?.generation).toBe(5);
  });
});

const make = (who: string, pod_id: string, fields: Fields): Promise<Answer> =>
  bench.as(who)('POST', '/v3/pods', { body: { pod_id, ...fields } });

describe('images', () => {
  test('podgate/process is for admins and needs a command', async () => {
    const fields = { image: 'podgate/process', command: ['/bin/true'] };
    const refused = await make('ada', 'proc', fields);
    expect(refused.status).toBe(400);
    expect(refused.body.message[0]).toContain('PODGATE_RUNTIME=process');
    expect((await make('admin', 'proc', fields)).status).toBe(200);
    const bare = await make('admin', 'bare', { image: 'podgate/process' });
    expect(bare.body.message).toEqual([
      'body, command: Field required for the image podgate/process',
    ]);
  });

  test.each(['nginx', 'podgate/hello2', 'registry:5000/podgate/hello'])(
    '%s is refused and the setting is named',
    async (other) => {
      const answer = await make('admin', 'other', { image: other });
      expect(answer.status).toBe(400);
      expect(answer.body.message[0]).toContain('PODGATE_RUNTIME is auto');
    },
  );
});

describe('permissions', () => {
  const bodies: Record<string, unknown> = {
    PUT: { description: 'new' },
    POST: { user: 'other', level: 'read' },
  };
  const operations: readonly (readonly ['GET' | 'PUT' | 'POST' | 'DELETE', string, number])[] = [
    ['GET', '', 1],
    ['PUT', '', 2],
    ['GET', '/logs', 1],
    ['GET', '/traffic', 1],
    ['GET', '/certificate', 1],
    ['POST', '/certificate/rotate', 3],
    ['GET', '/credentials', 2],
    ['GET', '/permissions', 2],
    ['POST', '/permissions', 3],
    ['DELETE', '/permissions/other', 3],
    ['GET', '/stop', 3],
    ['GET', '/start', 3],
    ['GET', '/restart', 3],
    ['DELETE', '', 3],
  ];
  const ranks: [string, number][] = [
    ['stranger', 0],
    ['reader', 1],
    ['user', 2],
    ['manager', 3],
    ['admin', 3],
  ];

  test.each(ranks)('%s may do what the level %i allows, no more', async (who, rank) => {
    const pod = `matrix${who}`;
    await create(pod, { status_requested: 'OFF' });
    for (const [user, level] of Object.entries({ reader: 'READ', user: 'USER', manager: 'ADMIN' }))
      await ada('POST', `/v3/pods/${pod}/permissions`, { body: { user, level } });
    const ends = [
      bench.logs.serve(logsOf(async () => '')),
      bench.traffic.serve({ read: async () => ({ sinceMs: 0, networks: new Map() }) }),
    ];
    for (const [method, path, needed] of operations) {
      const body = bodies[method];
      const call = body ? { body } : {};
      const { status } = await bench.as(who)(method, `/v3/pods/${pod}${path}`, call);
      expect.soft(status, `${method} ${path}`).toBe(rank >= needed ? 200 : 403);
    }
    for (const end of ends) end();
  });

  test('switching a pod by PUT needs the level that start and stop need', async () => {
    await create('switch');
    const body = { user: 'user', level: 'USER' };
    await ada('POST', '/v3/pods/switch/permissions', { body });
    const off = { body: { status_requested: 'OFF', description: 'x' } };
    expect((await bench.as('user')('PUT', '/v3/pods/switch', off)).status).toBe(403);
    expect(await shown('switch')).toMatchObject({ status_requested: 'ON', description: '' });
    expect((await ada('PUT', '/v3/pods/switch', off)).status).toBe(200);
    expect(await shown('switch')).toMatchObject({ status_requested: 'OFF', description: 'x' });
  });

  test('a list shows what may be read, and a reader sees no values of the environment', async () => {
    await create('shared', { environment_variables: { KEY: 'sesame' } });
    await create('hidden');
    const body = { user: 'reader', level: 'READ' };
    await ada('POST', '/v3/pods/shared/permissions', { body });
    const listed = (await bench.as('reader')('GET', '/v3/pods')).body.result as Fields[];
    const ids = listed.map((pod) => pod['pod_id']);
    expect(ids).toContain('shared');
    expect(ids).not.toContain('hidden');
    const masked = { environment_variables: { KEY: '***' } };
    expect(listed).toContainEqual(expect.objectContaining(masked));
    const read = await bench.as('reader')('GET', '/v3/pods/shared');
    expect(read.body.result).toMatchObject(masked);
    expect(await shown('shared')).toMatchObject({ environment_variables: { KEY: 'sesame' } });
  });

  test('the last ADMIN stays', async () => {
    await create('kept');
    const remove = (user: string) => ada('DELETE', `/v3/pods/kept/permissions/${user}`);
    expect((await remove('ada')).status).toBe(400);
    const lower = { body: { user: 'ada', level: 'READ' } };
    expect((await ada('POST', '/v3/pods/kept/permissions', lower)).status).toBe(400);
    for (const user of ['nobody', 'constructor'])
      expect.soft((await remove(user)).status, user).toBe(400);
    expect((await stored('kept'))?.permissions).toEqual({ ada: 'ADMIN' });
  });
});

describe('runs', () => {
  test('start only from STOPPED; stop and restart at any time', async () => {
    await create('runs');
    await report('runs', {});
    expect((await act('runs', 'start')).status).toBe(409);
    expect((await act('runs', 'stop')).body.result).toMatchObject({ status_requested: 'OFF' });
    expect((await act('runs', 'start')).status).toBe(409);
    await report('runs', { state: 'STOPPED' });
    const started = { status_requested: 'ON', status: 'REQUESTED' };
    expect((await act('runs', 'start')).body.result).toMatchObject(started);
    await report('runs', { generation: 2 });
    await act('runs', 'restart');
    expect(await shown('runs')).toMatchObject({ status_requested: 'RESTART' });
    await report('runs', { generation: 3 });
    expect(await shown('runs')).toMatchObject({ status_requested: 'ON', status: 'AVAILABLE' });
  });

  test('a pod whose time is up is off, until an update asks for ON', async () => {
    await create('expired');
    await report('expired', { state: 'STOPPED', expiredGeneration: 1 });
    expect(await shown('expired')).toMatchObject({ status_requested: 'OFF', status: 'STOPPED' });
    const on = await ada('PUT', '/v3/pods/expired', { body: { status_requested: 'ON' } });
    expect(on.body.status).toBe('success');
    expect((await stored('expired'))?.generation).toBe(2);
  });

  test('the log has the actions of both sides in order, or says that nobody answers', async () => {
    await create('logged');
    await bench.clock.advance(120_000);
    await act('logged', 'stop');
    const between = { atMs: bench.clock.nowMs() - 60_000, text: 'set status to AVAILABLE' };
    await report('logged', { actions: [between] });
    expect((await act('logged', 'logs')).status).toBe(503);
    const end = bench.logs.serve(logsOf(async (key) => `output of ${key}`));
    const lines = [
      expect.stringMatching(/^26\/01\/01 \d\d:\d\d: Pod object created by 'ada'$/),
      expect.stringContaining('set status to AVAILABLE'),
      expect.stringContaining("'ada' ran stop_pod, set to OFF"),
    ];
    const { result } = (await act('logged', 'logs')).body;
    expect(result).toEqual({ logs: 'output of default/logged', action_logs: lines });
    end();
  });

  test('of the output a part is had, and what is no such part is refused by name', async () => {
    await create('windowed');
    const asked: unknown[] = [];
    const end = bench.logs.serve(
      logsOf(async (_key, window) => JSON.stringify(asked.push(window))),
    );
    expect((await logsBy('tail=2&since=10m')).body).toMatchObject({ result: { logs: '1' } });
    await logsBy('since=2026-01-01T11:00:00Z');
    const nowMs = bench.clock.nowMs();
    expect(asked).toEqual([
      { tail: 2, sinceMs: nowMs - 600_000 },
      { tail: undefined, sinceMs: Date.UTC(2026, 0, 1, 11) },
    ]);
    for (const [query, field] of [
      ['tail=-1', 'tail'],
      ['tail=', 'tail'],
      ['tail=1e3', 'tail'],
      ['tail=1&tail=2', 'tail'],
      ['since=yesterday', 'since'],
      ['since=', 'since'],
      ['lines=5', 'lines'],
    ] as const) {
      const { status, body } = await logsBy(query);
      expect([status, body.message]).toEqual([
        400,
        [expect.stringMatching(new RegExp(`^querystring, ${field}: `))],
      ]);
    }
    end();
  });
});

const logsBy = (query: string) => ada('GET', `/v3/pods/windowed/logs?${query}`);
const update = (pod: string, body: Fields) => ada('PUT', `/v3/pods/${pod}`, { body });

describe('update_pod', () => {
  test('changes the keys that were sent and asks for no new run', async () => {
    await create('edited', { description: 'old', environment_variables: { A: 'a' } });
    const before = await shown('edited');
    const answer = await update('edited', { environment_variables: { B: 'b' } });
    expect(answer.body.metadata).toEqual({
      note: [expect.any(String), expect.stringMatching(/it changes environment_variables\.$/)],
      restart_changes: ['environment_variables'],
    });
    const said = await update('edited', { description: 'new' });
    expect(said.body.metadata['restart_changes']).toEqual([]);
    await update('edited', { description: 'old' });
    const expected = { environment_variables: { B: 'b' }, update_ts: expect.any(String) };
    expect(await shown('edited')).toEqual({ ...before, ...expected });
    expect((await stored('edited'))?.generation).toBe(1);
  });

  test('with equal data is 200 with status error and the pod', async () => {
    await create('equal', { environment_variables: { A: 'a' } });
    const same = { environment_variables: { A: 'a' }, description: '' };
    const answer = await update('equal', same);
    expect([answer.status, answer.body.status]).toEqual([200, 'error']);
    expect(answer.body.result).toEqual(await shown('equal'));
  });

  test('keeps what somebody else wrote between its read and its write', async () => {
    await create('raced');
    bench.store.beforeNextPut = () => update('raced', { description: 'theirs' });
    const answer = await update('raced', { time_to_stop_default: 600 });
    const both = { description: 'theirs', time_to_stop_default: 600 };
    expect(answer.body.result).toMatchObject(both);
    expect(await shown('raced')).toMatchObject(both);
  });
});

test('damaged records are named in the list and hide no other pod', async () => {
  await create('healthy');
  await create('unsealed', { environment_variables: { A: 'a' } });
  await create('nostatus');
  const pods = await bench.store.list('pods');
  const unsealed = pods.find(({ id }) => id === 'default/unsealed')?.value as Fields;
  const foreign = bench.sealer.seal('{}', 'elsewhere');
  const value = { ...unsealed, environment: foreign };
  await bench.store.put('pods', { id: 'default/unsealed', value }, 'anything');
  await bench.store.put('pods', { id: 'default/broken', value: { tenant: 1 } }, 'anything');
  await bench.store.put('pod-status', { id: 'default/nostatus', value: {} }, 'anything');
  const { status, body } = await ada('GET', '/v3/pods');
  expect(status).toBe(200);
  const ids = (body.result as Fields[]).map((pod) => pod['pod_id']);
  expect(ids).toContain('healthy');
  expect(ids).not.toContain('unsealed');
  const warnings = JSON.stringify(body.metadata['warnings']);
  for (const pod of ['unsealed', 'broken', 'nostatus']) expect(warnings).toContain(pod);
  expect(bench.logged).toContainEqual({
    fields: expect.objectContaining({ pod: 'default/unsealed' }),
    message: 'pod is left out of a list',
  });
  for (const pod of ['unsealed', 'broken', 'nostatus']) {
    const answer = await ada('GET', `/v3/pods/${pod}`);
    expect.soft(answer.status).toBe(500);
    expect.soft(answer.body.message).toContain('damaged');
  }
  for (const pod of ['unsealed', 'broken'])
    await bench.store.remove('pods', `default/${pod}`, 'anything');
  await bench.store.remove('pod-status', 'default/nostatus', 'anything');
});

test('no password, value of an environment or private key is stored in the clear', async () => {
  await create('secretive', { environment_variables: { TOKEN: 'open sesame' } });
  const { result } = (await act('secretive', 'credentials')).body;
  const { user_password: podPassword } = result as { user_password: string };
  expect(podPassword).toMatch(/^[A-Za-z0-9]{30}$/);
  const kinds = ['pods', 'users', 'signing-keys'];
  const all = JSON.stringify(await Promise.all(kinds.map((kind) => bench.store.list(kind))));
  expect(all).toContain('secretive');
  for (const secret of [podPassword, 'open sesame', 'pass word', 'PRIVATE KEY'])
    expect(all).not.toContain(secret);
});
