import { afterAll, beforeAll, expect, test } from 'vitest';
import { Standalone } from './standalone.ts';

let podgate: Standalone;
beforeAll(async () => {
  podgate = await Standalone.start();
});
afterAll(() => podgate.stopAndForget());

const good = { pod_id: 'fine', image: 'podgate/hello' };

test.each([
  ['an unknown field', { ...good, colour: 'red' }, 400, 'colour'],
  ['a wrong type', { ...good, description: 7 }, 400, 'description'],
  ['no pod id', { image: 'podgate/hello' }, 400, 'pod_id'],
  ['a pod id with capitals', { ...good, pod_id: 'Fine' }, 400, 'pod_id'],
  ['a pod id that is too short', { ...good, pod_id: 'ab' }, 400, 'pod_id'],
  ['a reserved pod id', { ...good, pod_id: 'templates' }, 400, 'pod_id'],
  ['a duplicate', { ...good, pod_id: 'hello' }, 409, 'hello'],
  [
    'a port out of range',
    { ...good, networking: { default: { protocol: 'http', port: 70_000 } } },
    400,
    'port',
  ],
  [
    'an unknown protocol',
    { ...good, networking: { default: { protocol: 'gopher', port: 70 } } },
    400,
    'protocol',
  ],
  ['no JSON', '{"pod_id":', 400, 'JSON'],
  ['JSON that is no object', [good], 400, 'body'],
  ['an image nobody can run here', { ...good, image: 'postgres:15' }, 400, 'PODGATE_RUNTIME'],
])('%s is refused with a message that names it', async (_name, body, wanted, named) => {
  const { status, envelope, headers } = await podgate.call('POST', '/v3/pods', body);
  expect(status).toBe(wanted);
  expect(headers.get('content-type')).toBe('application/json');
  expect(Object.keys(envelope).toSorted()).toEqual([
    'message',
    'metadata',
    'result',
    'status',
    'version',
  ]);
  expect(envelope.status).toBe('error');
  expect(envelope.result).toBeNull();
  expect(JSON.stringify(envelope.message)).toContain(named);
});

test('without a token, or with a forged one, nothing is told', async () => {
  expect((await podgate.call('GET', '/v3/pods', undefined, '')).status).toBe(401);
  const [header, claims, signature] = (await podgate.token()).split('.');
  const forged = `${header}.${claims}.${signature?.split('').toReversed().join('')}`;
  expect((await podgate.call('GET', '/v3/pods', undefined, forged)).status).toBe(401);
});
