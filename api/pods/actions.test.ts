import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PodStatus } from '#contracts/pod.ts';
import { actionsMax, desiredPods, podStatuses } from '#contracts/pod.ts';
import type { Bench, Call } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';
import { logsOf } from '../../test/log-examples.ts';

let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
  await Promise.all(['ada', 'controller'].map((name) => bench.addUser(name, 'pass word')));
  bench.logs.serve(logsOf(async () => ''));
}, 30_000);

afterAll(() => bench.close());

const under = (id: string, call: Call = {}): Call => ({
  ...call,
  headers: { 'x-request-id': id },
});
const make = (pod_id: string, requestId: string) =>
  bench.as('ada')(
    'POST',
    '/v3/pods',
    under(requestId, { body: { pod_id, image: 'podgate/hello' } }),
  );
const actions = async (pod: string): Promise<unknown> =>
  (await bench.as('ada')('GET', `/v3/pods/${pod}/actions`)).body.result;
const ada = { type: 'user', name: 'ada' };

test('an action says what was done, by whom and by which request', async () => {
  await make('told', 'r-create');
  const pod = '/v3/pods/told';
  const ask = bench.as('ada');
  const grant = { user: 'controller', level: 'ADMIN' };
  await ask('PUT', pod, under('r-update', { body: { description: 'new' } }));
  await ask('POST', `${pod}/permissions`, under('r-grant', { body: grant }));
  await bench.as('controller')('GET', `${pod}/restart`, under('r-restart'));
  await ask('GET', `${pod}/stop`, under('r-stop'));
  await ask('DELETE', `${pod}/permissions/controller`, under('r-take'));
  expect(await actions('told')).toEqual(
    [
      ['create', ada, 'r-create', "Pod object created by 'ada'"],
      ['update', ada, 'r-update', "'ada' updated pod: description"],
      ['set_permission', ada, 'r-grant', "'ada' set permission of 'controller' to ADMIN"],
      [
        'restart',
        { type: 'user', name: 'controller' },
        'r-restart',
        "'controller' ran restart_pod, set to RESTART",
      ],
      ['stop', ada, 'r-stop', "'ada' ran stop_pod, set to OFF"],
      ['delete_permission', ada, 'r-take', "'ada' set permission of 'controller' to none"],
    ].map(([kind, actor, request_id, text]) => ({
      ts: '2026-01-01T12:00:00.000000',
      kind,
      actor,
      request_id,
      status: null,
      text,
    })),
  );
});

test('a request without an id gets one, which its action has', async () => {
  const answer = await bench.as('ada')('POST', '/v3/pods', {
    body: { pod_id: 'named', image: 'podgate/hello' },
  });
  const id = answer.headers['x-request-id'];
  expect(id).toEqual(expect.any(String));
  expect(await actions('named')).toMatchObject([{ request_id: id }]);
});

test("the controller's actions stand among those of users, and old lines have what they had", async () => {
  await make('old', 'r-1');
  const pods = desiredPods(bench.store);
  const stored = await pods.get('default/old');
  if (!stored) throw new Error('no pod');
  const atMs = bench.clock.nowMs();
  const created = { atMs: atMs - 120_000, text: "Pod object created by 'ada'" };
  await pods.put('default/old', { ...stored.value, actions: [created] }, 'anything');
  const status: PodStatus = {
    state: 'AVAILABLE',
    generation: 1,
    message: '',
    phase: 'Running',
    startedAtMs: atMs,
    stopAtMs: null,
    expiredGeneration: null,
    failuresAtMs: [],
    run: 1,
    actions: [
      { atMs: atMs - 60_000, text: 'CREATING: soon' },
      {
        atMs,
        text: 'AVAILABLE: now',
        kind: 'set_status',
        actor: { type: 'controller', name: 'controller' },
        status: 'AVAILABLE',
      },
    ],
  };
  await podStatuses(bench.store).put('default/old', status, 'anything');
  const unknown = { kind: null, actor: null, request_id: null, status: null };
  expect(await actions('old')).toEqual([
    { ts: '2026-01-01T11:58:00.000000', text: "Pod object created by 'ada'", ...unknown },
    { ts: '2026-01-01T11:59:00.000000', text: 'CREATING: soon', ...unknown },
    {
      ts: '2026-01-01T12:00:00.000000',
      text: 'AVAILABLE: now',
      kind: 'set_status',
      actor: { type: 'controller', name: 'controller' },
      request_id: null,
      status: 'AVAILABLE',
    },
  ]);
  const logs = await bench.as('ada')('GET', '/v3/pods/old/logs');
  expect(logs.body.result).toEqual({
    logs: '',
    action_logs: [
      "26/01/01 11:58: Pod object created by 'ada'",
      '26/01/01 11:59: CREATING: soon',
      '26/01/01 12:00: AVAILABLE: now',
    ],
  });
});

test('the oldest go when there are too many', async () => {
  await make('busy', 'r-0');
  for (let round = 1; round <= actionsMax; round += 1) {
    await bench.as('ada')('GET', '/v3/pods/busy/restart', under(`r-${round}`));
  }
  const kept = await actions('busy');
  expect(kept).toHaveLength(actionsMax);
  expect(kept).toMatchObject({ 0: { request_id: 'r-1' } });
});
