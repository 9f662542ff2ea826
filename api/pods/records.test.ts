import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import { desiredPods, podStatuses } from '#contracts/pod.ts';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';

/** What is written for a pod, and what becomes of it when others write too. */

let bench: Bench;
const image = 'podgate/hello';

beforeAll(async () => {
  bench = await openBench();
  await Promise.all([
    bench.addUser('ada', 'pass word'),
    bench.addUser('eve', 'pass word'),
    bench.addUser('admin', 'pass word', true),
  ]);
}, 30_000);

afterAll(() => bench.close());

type Fields = Record<string, unknown>;
const ada = (...args: Parameters<ReturnType<Bench['as']>>) => bench.as('ada')(...args);
const create = (pod_id: string, more: Fields = {}, who = 'ada'): Promise<Answer> =>
  bench.as(who)('POST', '/v3/pods', { body: { pod_id, image, ...more } });
const update = (pod: string, body: Fields) => ada('PUT', `/v3/pods/${pod}`, { body });
const shown = async (pod: string) => (await ada('GET', `/v3/pods/${pod}`)).body.result as Fields;

async function stored(pod: string): Promise<DesiredPod> {
  const found = await desiredPods(bench.store).get(`default/${pod}`);
  if (!found) throw new Error(`no pod ${pod}`);
  return found.value;
}

async function report(pod: string, changes: Partial<PodStatus>): Promise<void> {
  const status: PodStatus = {
    state: 'AVAILABLE',
    generation: 1,
    message: 'it runs',
    phase: 'Running',
    startedAtMs: bench.clock.nowMs(),
    stopAtMs: null,
    expiredGeneration: null,
    failuresAtMs: [],
    run: 1,
    actions: [{ atMs: bench.clock.nowMs(), text: 'set status to AVAILABLE' }],
    ...changes,
  };
  await podStatuses(bench.store).put(`default/${pod}`, status, 'anything');
}

describe('the fields a user has set', () => {
  test('are the keys that were sent, not the defaults put beside them', async () => {
    await create('sparse');
    expect((await stored('sparse')).modifiedFields).toEqual(['pod_id', 'image']);
    await create('chosen', { description: '', networking: { default: {} } });
    const fields = ['pod_id', 'image', 'description', 'networking'];
    expect((await stored('chosen')).modifiedFields).toEqual(fields);
  });

  test('grow by the keys of an update, which its action names', async () => {
    await create('grown', { description: 'old' });
    await update('grown', { description: 'new', time_to_stop_default: 600 });
    const pod = await stored('grown');
    const fields = ['pod_id', 'image', 'description', 'time_to_stop_default'];
    expect(pod.modifiedFields).toEqual(fields);
    const text = "'ada' updated pod: description, time_to_stop_default";
    expect(pod.actions.at(-1)).toMatchObject({ atMs: bench.clock.nowMs(), text, kind: 'update' });
  });
});

describe('generations', () => {
  test('count the runs that were asked for', async () => {
    await create('running');
    expect((await stored('running')).generation).toBe(1);
    await create('off', { status_requested: 'OFF' });
    expect(await stored('off')).toMatchObject({ generation: 0, requested: 'OFF' });
    expect(await shown('off')).toMatchObject({ status: 'STOPPED', status_requested: 'OFF' });
    await ada('GET', '/v3/pods/off/start');
    expect(await stored('off')).toMatchObject({ generation: 1, requested: 'ON' });
  });

  test.each([
    ['ON', 'REQUESTED'],
    ['OFF', 'STOPPED'],
  ])('a pod made anew with %s shows nothing of the one before it', async (wish, state) => {
    const id = `anew${wish.toLowerCase()}`;
    await create(id);
    await report(id, { generation: 3 });
    await ada('DELETE', `/v3/pods/${id}`);
    await create(id, { status_requested: wish });
    const fresh = { status: state, status_container: {}, start_instance_ts: null };
    expect(await shown(id)).toMatchObject(fresh);
    const listed = (await ada('GET', '/v3/pods')).body.result as Fields[];
    expect(listed).toContainEqual(expect.objectContaining({ pod_id: id, ...fresh }));
    await report(id, { generation: 4 });
    expect(await shown(id)).toMatchObject({ status: 'AVAILABLE' });
  });
});

describe('writes of others', () => {
  test('that never end make a change a 409 which says to try again', async () => {
    await create('busy');
    let writes = 0;
    const interfere = async (): Promise<void> => {
      const description = String((writes += 1));
      const value = { ...(await stored('busy')), description };
      bench.store.beforeNextPut = undefined;
      await bench.store.put('pods', { id: 'default/busy', value }, 'anything');
      bench.store.beforeNextPut = interfere;
    };
    bench.store.beforeNextPut = interfere;
    const answer = await update('busy', { time_to_stop_default: 600 });
    bench.store.beforeNextPut = undefined;
    expect(answer.status).toBe(409);
    expect(answer.body.message).toContain('try again');
    expect(writes).toBe(5);
    expect(await shown('busy')).toMatchObject({ time_to_stop_default: 43_200 });
  });

  test('deleting does not take away what another made under the same id meanwhile', async () => {
    await create('mine');
    const remove = bench.store.remove.bind(bench.store);
    bench.store.remove = async (...args) => {
      bench.store.remove = remove;
      await bench.store.remove('pods', 'default/mine', 'anything');
      await create('mine', {}, 'eve');
      return bench.store.remove(...args);
    };
    expect((await ada('DELETE', '/v3/pods/mine')).status).toBe(403);
    expect((await stored('mine')).owner).toBe('eve');
  });
});

describe('what a run could not take is refused', () => {
  test.each<[Fields, string]>([
    [{ environment_variables: { A: 'x\0' } }, 'body, environment_variables, A'],
    [{ arguments: ['ok', 'a\0b'] }, 'body, arguments, 1'],
  ])('NUL in %j', async (fields, where) => {
    const answer = await create('nul', fields);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toEqual([`${where}: must not contain NUL`]);
  });

  test.each<[Fields, string]>([
    [
      { networking: { 'a-b': {} } },
      'body, networking, a-b: a network name has 3 to 61 lowercase letters and digits',
    ],
    [
      { networking: { web: {}, UP: {} } },
      'body, networking, UP: a network name has 3 to 61 lowercase letters and digits',
    ],
    [
      { environment_variables: { 'A=B': 'x' } },
      'body, environment_variables, A=B: a name has letters, digits and _, no digit first',
    ],
  ])('a name in %j, with the rule it breaks', async (fields, text) => {
    const answer = await create('names', fields);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toEqual([text]);
  });
});

describe('podgate/hello is for everybody, so it runs nothing but itself', () => {
  const names = ['NODE_OPTIONS', 'node_options', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'OPENSSL_CONF'];

  test.each(names)(
    '%s would run other code, and needs what podgate/process needs',
    async (name) => {
      const fields = { environment_variables: { [name]: 'x' } };
      const answer = await create('loader', fields);
      expect(answer.status).toBe(400);
      const message = expect.stringContaining(`body, environment_variables, ${name}: may run`);
      expect(answer.body.message).toEqual([message]);
      await create('plain', { environment_variables: { HELLO_NAME: 'x', MY_NODE_OPTIONS: 'x' } });
      const changed = await update('plain', fields);
      expect([changed.status, changed.body.message]).toEqual([400, [message]]);
      expect((await create(`loader${names.indexOf(name)}`, fields, 'admin')).status).toBe(200);
    },
  );

  test('a command would be ignored, so it is refused', async () => {
    const text = 'body, command: podgate/hello has its own program, leave it out';
    for (const who of ['ada', 'admin']) {
      const answer = await create('commanded', { command: ['/bin/sh'] }, who);
      expect([answer.status, answer.body.message]).toEqual([400, [text]]);
    }
    await create('bare');
    expect((await update('bare', { command: ['/bin/sh'] })).body.message).toEqual([text]);
  });
});

test.each([
  [{ user: '__proto__', level: 'READ' }, 'body, user: must be a username or * for everybody'],
  [{ user: 'eve:ADMIN', level: 'READ' }, 'body, user: must be a username or * for everybody'],
  [{ user: '', level: 'READ' }, 'body, user: must be a username or * for everybody'],
  [{ user: 'eve', level: 'NONE' }, 'body, level: must be READ, USER or ADMIN'],
  [{ user: 'eve', level: 'OWNER' }, 'body, level: must be READ, USER or ADMIN'],
  [{ user: 'eve' }, 'body, level: Field required'],
])('a permission for %j is refused', async (body, text) => {
  await create('permitted');
  const answer = await ada('POST', '/v3/pods/permitted/permissions', { body });
  expect(answer.status).toBe(400);
  expect(answer.body.message).toEqual([text]);
  expect((await stored('permitted')).permissions).toEqual({ ada: 'ADMIN' });
});
