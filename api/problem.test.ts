import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';

/** Refusals as programs read them, with the codes they ask for. */

const pod = { pod_id: 'mine', image: 'podgate/hello' };

describe.each([
  ['http', { none: 401, right: 403, path: 404, method: 405, twice: 409, input: 400, away: 404 }],
  ['tapis', { none: 400, right: 400, path: 400, method: 400, twice: 500, input: 400, away: 404 }],
] as const)('with the status codes of %s', (statusCodes, codes) => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench({ statusCodes });
    await bench.addUser('ada', 'pass word');
    await bench.addUser('bob', 'pass word');
    await bench.as('ada')('POST', '/v3/pods', { body: pod });
  }, 30_000);

  afterAll(() => bench.close());

  test('each refusal has its code and the problem in the metadata', async () => {
    const ada = bench.as('ada');
    const refusals = [
      [codes.none, 401, 'Unauthorized', await bench.call('GET', '/v3/pods')],
      [codes.right, 403, 'Forbidden', await bench.as('bob')('GET', '/v3/pods/mine')],
      [codes.path, 404, 'Not Found', await ada('GET', '/v3/pods/mine/nothing')],
      [codes.method, 405, 'Method Not Allowed', await ada('PUT', '/v3/pods')],
      [codes.twice, 409, 'Conflict', await ada('POST', '/v3/pods', { body: pod })],
      [codes.away, 404, 'Not Found', await ada('GET', '/v3/pods/other')],
    ] as const;
    for (const [code, status, title, answer] of refusals) {
      expect.soft(answer.status, title).toBe(code);
      expect.soft(answer.body.status).toBe('error');
      const problem = { title, status, detail: answer.body.message };
      expect.soft(answer.body.metadata).toEqual({ problem });
    }
  });

  test('a problem of the input names each field and what to do', async () => {
    const body = { pod_id: 'x', extra: 1, networking: { web: { port: 1, protocol: 'udp' } } };
    const answer = await bench.as('ada')('POST', '/v3/pods', { body });
    expect(answer.status).toBe(codes.input);
    expect(answer.body.metadata).toMatchObject({
      problem: {
        title: 'Bad Request',
        status: 400,
        errors: expect.arrayContaining([
          { in: 'body', field: 'pod_id', detail: expect.stringContaining('at least 3') },
          { in: 'body', field: 'extra', detail: 'Unknown field, remove it' },
          { in: 'body', field: 'networking.web.port', detail: 'must be a port from 10 to 65535' },
        ]),
      },
    });
  });
});
