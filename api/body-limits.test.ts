import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { unavailable } from './unavailable/operations.ts';

/** No operation reads a body that is longer than what it could make use of. */

let bench: Bench;
const operations: { operationId: string; method: 'POST' | 'PUT'; url: string }[] = [];

/** In KiB, by operation; the others take 32. */
const larger: Readonly<Record<string, number>> = {
  create_pod: 1024,
  update_pod: 1024,
  add_images: 1024,
  add_template_tag: 256,
  create_template_tag: 256,
  create_tenant: 1024,
  update_tenant: 1024,
  add_template: 64,
  create_template: 64,
  update_template: 64,
};

const away = new Set(unavailable.map(({ operationId }) => operationId));

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word', true);
  const { text } = await bench.call('GET', '/v3/openapi.json');
  const { paths }: { paths: Record<string, Record<string, { operationId: string }>> } =
    JSON.parse(text);
  for (const [path, methods] of Object.entries(paths))
    for (const [method, { operationId }] of Object.entries(methods))
      // What is not there yet reads no body at all.
      if (['post', 'put'].includes(method) && !away.has(operationId))
        operations.push({
          operationId,
          method: method === 'put' ? 'PUT' : 'POST',
          url: path.replaceAll(/\{\w+\}/g, 'some'),
        });
}, 30_000);

afterAll(() => bench.close());

/** JSON of so many bytes, which no operation knows anything to do with. */
const bodyOf = (bytes: number): string => `{"unheard":"${'x'.repeat(bytes - 14)}"}`;

test('each operation takes what it declares and says so about one byte more', async () => {
  expect(operations.length).toBeGreaterThan(15);
  const known = new Set(operations.map(({ operationId }) => operationId));
  for (const operationId of Object.keys(larger)) expect(known).toContain(operationId);
  for (const { operationId, method, url } of operations) {
    const KiB = larger[operationId] ?? 32;
    const send = (bytes: number) =>
      bench.as('ada')(method, url, {
        body: bodyOf(bytes),
        headers: { 'content-type': 'application/json' },
      });
    const most = await send(KiB * 1024);
    expect.soft([400, 404], operationId).toContain(most.status);
    const more = await send(KiB * 1024 + 1);
    expect.soft(more.status, operationId).toBe(413);
    expect.soft(more.body.message, operationId).toEqual([`body: is larger than ${KiB} KiB`]);
  }
});

test('a path that is none reads no more', async () => {
  const answer = await bench.as('ada')('POST', '/v3/nothing', { body: ['x'.repeat(2 ** 21)] });
  expect([answer.status, answer.body.message]).toEqual([413, ['body: is larger than 32 KiB']]);
});

test.each(['/v3/oauth2/tokens', '/v3/oauth2/tokens/revoke', '/v3/oauth2/authorize'])(
  'a form for %s has 32 KiB at most',
  async (url) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const send = (bytes: number) =>
      bench.call('POST', url, { headers, body: `state=${'x'.repeat(bytes - 6)}` });
    expect((await send(32 * 1024)).status).toBe(400);
    expect((await send(32 * 1024 + 1)).status).toBe(413);
  },
);
