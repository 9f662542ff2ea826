import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';

/** The list of images that pods may run. */

let bench: Bench;
type Method = 'GET' | 'POST' | 'DELETE';
const admin = (method: Method, url: string, body?: unknown): Promise<Answer> =>
  bench.as('admin')(method, `/v3/pods${url}`, body === undefined ? {} : { body });
const ada = (method: Method, url: string, body?: unknown): Promise<Answer> =>
  bench.as('ada')(method, `/v3/pods${url}`, body === undefined ? {} : { body });
const run = (pod_id: string, image: string) => ada('POST', '', { pod_id, image });

beforeAll(async () => {
  bench = await openBench({ runtime: 'engine' });
  await bench.addUser('admin', 'pass word', true);
  await bench.addUser('ada', 'pass word');
}, 30_000);

afterAll(() => bench.close());

describe('an image on the list', () => {
  test('is added by an admin, without its tag, and is for the own tenant unless told', async () => {
    const answer = await admin('POST', '/images', { image: 'postgres:17', description: 'SQL' });
    expect(answer.body).toMatchObject({
      status: 'success',
      message: 'Image added successfully.',
      metadata: { notice: expect.stringContaining('postgres:17') },
      result: {
        image: 'postgres',
        tenants: ['default'],
        description: 'SQL',
        added_by: 'admin',
        creation_ts: '2026-01-01T12:00:00.000000',
      },
    });
    expect((await ada('GET', '/images/postgres')).body.result).toEqual(answer.body.result);
    expect((await ada('GET', '/images/postgres:16')).body.result).toEqual(answer.body.result);
  });

  test('may be run with any tag, and others not at all', async () => {
    await admin('POST', '/images', { image: 'redis' });
    expect((await run('cache', 'redis:8')).body.result).toMatchObject({ image: 'redis:8' });
    const refused = await run('bad', 'rediss:8');
    expect(refused.status).toBe(400);
    expect(refused.body.message).toEqual([
      'body, image: rediss is not on the list of images (GET /v3/pods/images), ask an admin to add it',
    ]);
  });

  test('has slashes and a registry with a port, unescaped in the path', async () => {
    const image = 'localhost:5000/team/app_one/sub';
    expect((await admin('POST', '/images', { image })).status).toBe(200);
    expect((await ada('GET', `/images/${image}`)).body.result).toMatchObject({ image });
    const gone = await admin('DELETE', `/images/${image}`);
    expect(gone.body).toMatchObject({ status: 'success', result: image });
    const missing = await ada('GET', `/images/${image}`);
    expect(missing.status).toBe(200);
    expect(missing.body).toMatchObject({
      status: 'error',
      message: `Image with id ${image} not found.`,
      result: null,
      metadata: { problem: { status: 404 } },
    });
    expect((await admin('DELETE', `/images/${image}`)).body).toMatchObject({ status: 'error' });
  });

  test.each(['', 'Upper/Case', 'a b', 'name:', '-x', 'a//b', 'https://x/y', 'a@sha256:12', '*'])(
    'is refused as %j',
    async (image) => {
      const answer = await admin('POST', '/images', { image });
      expect(answer.status).toBe(400);
      expect(String(answer.body.message)).toMatch(/^body, image: /);
    },
  );
});

describe('several images', () => {
  test('are added all or none, unless those that are there may be skipped', async () => {
    await admin('POST', '/images', { image: 'there' });
    const images = [{ image: 'there:1' }, { image: 'bulk/one' }, { image: 'bulk/one:2' }];
    const refused = await admin('POST', '/images/bulk', images);
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain('there, bulk/one');
    expect((await ada('GET', '/images/bulk/one')).body.status).toBe('error');
    // As Python writes it.
    const added = await admin('POST', '/images/bulk?skip_duplicates=True', images);
    expect(added.body.metadata).toEqual({ skipped: ['there', 'bulk/one'] });
    expect(added.body.result).toMatchObject([{ image: 'bulk/one' }]);
  });

  test.each([[[]], [{}], [[{ image: 'x' }, { image: '' }]], [[{ image: 'x', extra: 1 }]]])(
    'are refused as %j',
    async (images) => {
      expect((await admin('POST', '/images/bulk', images)).status).toBe(400);
    },
  );

  test('a flag that is none is refused by name', async () => {
    const answer = await admin('POST', '/images/bulk?skip_duplicates=maybe', [{ image: 'x' }]);
    expect(answer.body.message).toEqual(['querystring, skip_duplicates: must be true or false']);
  });
});

test('the images that come along are shown, and stay', async () => {
  const listed = (await ada('GET', '/images')).body.result as { image: string }[];
  expect(listed.map(({ image }) => image).slice(0, 2)).toEqual([
    'podgate/hello',
    'podgate/process',
  ]);
  expect((await admin('DELETE', '/images/podgate/hello')).status).toBe(409);
  expect((await admin('POST', '/images', { image: 'podgate/hello' })).status).toBe(409);
});

test('only admins change the list', async () => {
  expect((await ada('POST', '/images', { image: 'mine' })).status).toBe(403);
  expect((await ada('POST', '/images/bulk', [{ image: 'mine' }])).status).toBe(403);
  expect((await ada('DELETE', '/images/there')).status).toBe(403);
});

test('what is for another tenant is seen only by those who decide for all', async () => {
  await admin('POST', '/images', { image: 'theirs', tenants: ['other'] });
  expect((await ada('GET', '/images/theirs')).body.status).toBe('error');
  expect((await admin('GET', '/images/theirs')).body.status).toBe('success');
  expect((await run('alien', 'theirs')).status).toBe(400);
  expect((await admin('DELETE', '/images/theirs')).body.status).toBe('success');
  await admin('POST', '/images', { image: 'everybodys', tenants: ['*'] });
  expect((await ada('GET', '/images/everybodys')).body.status).toBe('success');
});
