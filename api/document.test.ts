import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PodStatus } from '#contracts/pod.ts';
import { podStatuses } from '#contracts/pod.ts';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { zPod } from './pods/schemas.ts';

/** The OpenAPI document against what the API really does. */

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, { content?: Record<string, { schema: unknown }> }>>;
}

let bench: Bench;
let text: string;
const operations: { path: string; method: string; operation: Operation }[] = [];

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word');
  ({ text } = await bench.call('GET', '/v3/openapi.json'));
  const { paths }: { paths: Record<string, Record<string, Operation>> } = JSON.parse(text);
  for (const [path, methods] of Object.entries(paths))
    for (const [method, operation] of Object.entries(methods))
      operations.push({ path, method, operation });
}, 30_000);

afterAll(() => bench.close());

/** Whose answers have an ETag. */
const tagged = new Set([
  'get_pod',
  'get_template',
  'list_template_tags',
  'get_template_tag',
  'get_image',
]);

/** Media types of what does not answer with JSON alone. */
const others: Readonly<Record<string, readonly string[]>> = {
  authorize: ['text/html'],
  get_pod_logs: ['application/json', 'text/event-stream'],
};

test('every operation has a name, its path parameters and its answers', () => {
  expect(operations.length).toBeGreaterThan(15);
  for (const { path, operation } of operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => String(name));
    const parameters = (operation.parameters ?? []).filter((each) => each.in === 'path');
    expect.soft(parameters.map(({ name }) => name).toSorted(), path).toEqual(named.toSorted());
    expect.soft(operation.operationId).toMatch(/^[a-z]+(_[a-z]+)*$/);
    const codes = tagged.has(operation.operationId) ? ['200', '304'] : ['200'];
    expect
      .soft(Object.keys(operation.responses).toSorted(), path)
      .toEqual([...codes, '4XX', '5XX']);
    for (const [code, answer] of Object.entries(operation.responses)) {
      const types = (code === '200' && others[operation.operationId]) || ['application/json'];
      expect.soft(Object.keys(answer.content ?? {}), path).toEqual(code === '304' ? [] : types);
    }
  }
});

test('every reference leads to a schema, and no schema lies there for nothing', () => {
  const { components } = JSON.parse(text);
  const targets = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) =>
    String(name),
  );
  expect(Object.keys(components.schemas).toSorted()).toEqual([...new Set(targets)].toSorted());
  expect(text.match(/"\$ref"/g)?.length).toBe(targets.length);
});

test('exactly the operations that say so answer without a token', async () => {
  for (const { path, method, operation } of operations) {
    const url = path.replaceAll(/\{\w+\}/g, 'some');
    const { status } = await bench.call(method.toUpperCase() as 'GET', url);
    const isOpen = operation.security?.length === 0;
    expect.soft(status === 401, `${method} ${path}`).toBe(!isOpen);
  }
});

test('a pod is answered as documented in each state of its life', async () => {
  const ada = bench.as('ada');
  const shows = async (method: 'GET' | 'POST' | 'PUT', url: string, body?: object) => {
    const answer = await ada(method, url, body ? { body } : {});
    expect(answer.status).toBe(200);
    return zPod.parse(answer.body.result);
  };
  await shows('POST', '/v3/pods', {
    pod_id: 'shown',
    image: 'podgate/hello',
    environment_variables: { A: 'a' },
    networking: { web: { protocol: 'HTTP' }, inner: { protocol: 'local_only', port: 70 } },
  });
  const now = bench.clock.nowMs();
  const status: PodStatus = {
    state: 'SPAWNER SETUP',
    generation: 1,
    message: 'it is being launched',
    phase: 'Pending',
    startedAtMs: now,
    stopAtMs: now + 1_500,
    expiredGeneration: null,
    failuresAtMs: [],
    run: 1,
    actions: [],
  };
  const key = 'default/shown';
  await podStatuses(bench.store).put(key, status, 'anything');
  const pod = await shows('GET', '/v3/pods/shown');
  expect(pod).toMatchObject({
    status: 'SPAWNER SETUP',
    status_container: {
      phase: 'Pending',
      start_time: '2026-01-01T12:00:00.000000',
      message: 'it is being launched',
    },
    start_instance_ts: '2026-01-01T12:00:00.000000',
    time_to_stop_ts: '2026-01-01T12:00:01.500000',
    networking: {
      web: { protocol: 'http', url: 'shown-web.pods.localhost' },
      inner: { protocol: 'local_only', port: 70, url: '' },
    },
  });
  expect(await shows('PUT', '/v3/pods/shown', { networking: pod.networking })).toEqual(pod);
  await shows('GET', '/v3/pods/shown/stop');
});
