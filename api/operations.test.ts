import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { unavailable } from './unavailable/operations.ts';

/** The operations that clients of the wire call by name, and what we do not have yet. */

// The operation ids of the Pods API that tapipy 1.9.0 carries.
const wire = (
  'add_image add_images add_template add_template_tag create_pod create_snapshot create_volume ' +
  'delete_image delete_pod delete_pod_permission delete_snapshot delete_snapshot_permission ' +
  'delete_template delete_template_permission delete_volume delete_volume_permission ' +
  'ensure_jupyter_pod error_handler exec_pod_commands get_derived_pod get_image get_images ' +
  'get_pod get_pod_credentials get_pod_logs get_pod_permissions get_snapshot ' +
  'get_snapshot_contents get_snapshot_permissions get_template get_template_permissions ' +
  'get_template_tag get_volume get_volume_contents get_volume_permissions healthcheck list_pods ' +
  'list_snapshot_files list_snapshots list_template_tags list_templates list_templates_and_tags ' +
  'list_volume_files list_volumes pod_auth pod_auth_callback restart_pod ' +
  'save_pod_as_template_tag set_pod_permission set_snapshot_permission set_template_permission ' +
  'set_volume_permission start_pod stop_pod traefik_config update_pod update_snapshot ' +
  'update_template update_volume upload_to_jupyter upload_to_pod upload_to_volume'
).split(' ');

// The documentation's names for what clients call add_template and add_template_tag.
const documented = ['create_template', 'create_template_tag'];

let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
  for (const name of ['ada', 'bob', 'admin'])
    await bench.addUser(name, 'pass word', name === 'admin');
  await bench.as('ada')('POST', '/v3/pods', {
    body: { pod_id: 'mine', image: 'podgate/hello' },
  });
}, 30_000);

afterAll(() => bench.close());

test('every operation of the wire is described under its name', async () => {
  expect(wire).toHaveLength(62);
  const { body } = await bench.call('GET', '/v3/openapi.json');
  const { paths } = body as unknown as { paths: Record<string, Record<string, object>> };
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const ids = new Set(operations.map((operation) => Reflect.get(operation, 'operationId')));
  expect([...wire, ...documented].filter((id) => !ids.has(id))).toEqual([]);
});

test('the description comes as YAML too, and says the same', async () => {
  const { text, headers } = await bench.call('GET', '/v3/openapi.yaml');
  expect(headers['content-type']).toMatch(/^application\/yaml/);
  expect(text).toMatch(/^openapi: 3\.1\.0\n/);
  for (const id of wire) expect.soft(text).toContain(`operationId: ${id}\n`);
});

describe.each(unavailable)('$operationId', ({ operationId, method, path, access }) => {
  const url = `/v3/pods${path}`.replaceAll(':pod_id', 'mine').replace('*', 'a/b');

  test('says in the envelope that it is not available, whatever is sent', async () => {
    const headers = { 'content-type': 'multipart/form-data; boundary=x' };
    const { status, body } = await bench.as('ada')(method, url, { body: '--x--', headers });
    expect(status).toBe(501);
    expect(body).toMatchObject({
      status: 'error',
      message: `${operationId} is not available yet.`,
      result: null,
    });
  });

  test('is for nobody who might not use it', async () => {
    const open = access === 'anybody';
    expect((await bench.call(method, url)).status).toBe(open ? 501 : 401);
    const onPod = access.endsWith('on pod');
    expect((await bench.as('bob')(method, url)).status).toBe(onPod ? 403 : 501);
  });
});

describe('traefik_config', () => {
  test('shows admins the published routes, with their revision', async () => {
    const url = '/v3/traefik-config';
    expect((await bench.as('ada')('GET', url)).status).toBe(403);
    let answered = 0;
    void bench
      .as('admin')('GET', url)
      .then(({ status }) => (answered = status));
    const later = async () => {
      await bench.clock.advance(1_000);
      return answered;
    };
    await expect.poll(later).toBe(503);
    const route = {
      host: 'mine.pods.localhost',
      tenant: 'default',
      pod: 'mine',
      network: 'default',
      protocol: 'http',
      state: 'ready',
      message: '',
      upstream: { host: '127.0.0.1', port: 5000 },
    } as const;
    const { revision } = await bench.routes.begin(1, [route]);
    const { body } = await bench.as('admin')('GET', url);
    expect(body.result).toEqual({ revision, routes: [route] });
  });
});

test('error_handler answers with the status it is asked for', async () => {
  // Strangers ask for it: it must not fill the operator's log.
  const logged = bench.logged.length;
  expect((await bench.call('GET', '/v3/error-handler/500')).status).toBe(500);
  expect(bench.logged.length).toBe(logged);
  const { status, body } = await bench.call('GET', '/v3/error-handler/502');
  expect(status).toBe(502);
  expect(body).toMatchObject({ status: 'error', message: 'The gateway answered 502 Bad Gateway.' });
  expect((await bench.call('GET', '/v3/error-handler/200')).status).toBe(400);
  expect((await bench.call('GET', '/v3/error-handler/teapot')).status).toBe(400);
});
