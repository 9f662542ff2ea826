import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { desiredPods } from '#contracts/pod.ts';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';
import { tagDefinitions, templates } from './records.ts';

/** Templates, their tags, and pods made from them, over the wire. */

let bench: Bench;
const image = 'podgate/hello';
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

beforeAll(async () => {
  bench = await openBench();
  for (const name of ['ada', 'bob', 'admin'])
    await bench.addUser(name, 'pass word', name === 'admin');
}, 30_000);

afterAll(() => bench.close());

const as = (who: string, method: Method, path: string, body?: unknown): Promise<Answer> =>
  bench.as(who)(method, `/v3/pods${path}`, body === undefined ? {} : { body });
const ada = (method: Method, path: string, body?: unknown) => as('ada', method, path, body);

async function template(template_id: string, ...definitions: object[]): Promise<string[]> {
  await ada('POST', '/templates', { template_id });
  const timestamps: string[] = [];
  for (const pod_definition of definitions) {
    const body = { pod_definition, commit_message: 'made' };
    const answer = await ada('POST', `/templates/${template_id}/tags`, body);
    expect(answer.body.message).toBe('Template tag added successfully.');
    timestamps.push((answer.body.result as { tag_timestamp: string }).tag_timestamp);
  }
  return timestamps;
}

const derived = async (pod: string, who = 'ada') =>
  (await as(who, 'GET', `/${pod}/derived`)).body as Answer['body'] & {
    result: Record<string, Record<string, unknown>>;
  };

describe('a template', () => {
  test('is made, read, changed and deleted', async () => {
    const made = await ada('POST', '/templates', { template_id: 'life', metatags: ['x'] });
    expect(made.body).toMatchObject({
      message: 'Template created successfully.',
      result: {
        template_id: 'life',
        description: '',
        metatags: ['x'],
        archive_message: '',
        creation_ts: '2026-01-01T12:00:00.000000',
      },
    });
    expect((await ada('GET', '/templates/life')).body.result).toEqual(made.body.result);
    expect((await ada('POST', '/templates', { template_id: 'life' })).status).toBe(409);
    const changed = await ada('PUT', '/templates/life', { description: 'new' });
    expect(changed.body.result).toMatchObject({ description: 'new', metatags: ['x'] });
    const same = await ada('PUT', '/templates/life', { description: 'new' });
    expect(same.status).toBe(200);
    expect(same.body).toMatchObject({ status: 'error', result: { template_id: 'life' } });
    const gone = await ada('DELETE', '/templates/life');
    expect(gone.body).toMatchObject({ result: '', message: 'Template successfully deleted.' });
    expect((await ada('GET', '/templates/life')).status).toBe(404);
  });

  test.each(['tags', 'Ab', 'x', 'a-b', 'a'.repeat(65)])('cannot be called %s', async (id) => {
    const answer = await ada('POST', '/templates', { template_id: id });
    expect(answer.status).toBe(400);
    expect(String(answer.body.message)).toContain('body, template_id: ');
  });

  test('is listed with its tags by id, newest first', async () => {
    const [first, second] = await template('listed', { image }, { image, description: 'two' });
    const { result } = (await ada('GET', '/templates/tags')).body as {
      result: Record<string, { tags: object[] }>;
    };
    expect(result['listed']).toMatchObject({
      template_id: 'listed',
      tags: [
        { tag_timestamp: second, pod_definition: { description: 'two' } },
        { tag_timestamp: first },
      ],
    });
    const short = (await ada('GET', '/templates/tags?full=False')).body.result as typeof result;
    expect(Object.keys(short['listed']?.tags[0] ?? {}).toSorted()).toEqual(
      'added_by commit_message creation_ts tag tag_timestamp'.split(' '),
    );
    const listed = (await ada('GET', '/templates')).body.result as { template_id: string }[];
    expect(listed.map(({ template_id }) => template_id)).toContain('listed');
  });
});

describe('a tag', () => {
  test('is answered as an array, and two of one second have different names', async () => {
    const [first, second] = await template('tagged', { image }, { image });
    expect(first).toBe('latest@2026-01-01-12:00:00');
    expect(second).toBe('latest@2026-01-01-12:00:01');
    const all = (await ada('GET', '/templates/tagged/tags/latest')).body.result;
    expect(all).toMatchObject([{ tag_timestamp: second }, { tag_timestamp: first }]);
    const one = (await ada('GET', `/templates/tagged/tags/${String(first)}`)).body.result;
    expect(one).toMatchObject([{ tag_timestamp: first, added_by: 'ada', commit_message: 'made' }]);
    expect((await ada('GET', '/templates/tagged/tags/other')).status).toBe(404);
    expect((await ada('GET', '/templates/tagged/tags')).body.result).toHaveLength(2);
  });

  test.each([
    [{ tapis_auth: true }, 'Unknown field'],
    [{ networking: { web: { tapis_auth: true } } }, 'is not available yet'],
    [{ volume_mounts: { v: {} } }, 'is not available yet'],
    [{ resources: { gpus: 2 } }, 'resources, gpus: must be at most 1'],
    [{ command: ['<<TAPIS_nothing>>'] }, '<<TAPIS_nothing>> is no placeholder'],
    [{ environment_variables: { A: '<TAPIS_other>' } }, '<TAPIS_other> is no placeholder'],
    [{ template: 'away' }, 'there is no template away'],
    [{ template: 'x@y' }, 'must be a template'],
  ])('is refused with %j', async (pod_definition, text) => {
    await ada('POST', '/templates', { template_id: 'strict' });
    const body = { pod_definition, commit_message: '' };
    const answer = await ada('POST', '/templates/strict/tags', body);
    expect(answer.status).toBe(400);
    expect(String(answer.body.message)).toContain(text);
    expect(String(answer.body.message)).toContain('body, ');
  });

  test('may say nothing of a field by null', async () => {
    const [stamp] = await template('nulls', {
      image,
      command: null,
      networking: null,
      template: null,
    });
    const [tag] = (await ada('GET', `/templates/nulls/tags/${String(stamp)}`)).body.result as {
      pod_definition: object;
    }[];
    expect(tag?.pod_definition).toMatchObject({ image, command: null, networking: {} });
  });

  test('has the names of the documentation too', async () => {
    const made = await bench.as('ada')('POST', '/v3/templates', { body: { template_id: 'alias' } });
    expect(made.status).toBe(200);
    const tag = await bench.as('ada')('POST', '/v3/templates/alias/tags', {
      body: { pod_definition: { image }, commit_message: 'x' },
    });
    expect(tag.body.result).toMatchObject({ template_id: 'alias', tag: 'latest' });
  });
});

describe('a pod made from a template', () => {
  test('says what was said of it, runs what is derived, and names the very version', async () => {
    const [deep] = await template('deep', {
      image,
      environment_variables: { WHO: '<<TAPIS_user_username>>', PASS: '<TAPIS_user_password>' },
      networking: { web: { port: 8000, ip_allow_list: ['127.0.0.1'] } },
    });
    const [near] = await template('near', { template: 'deep', description: 'near' });
    const made = await ada('POST', '', {
      pod_id: 'frompod',
      template: 'near',
      environment_variables: { OWN: '1' },
      networking: { web: { port: 9000 } },
    });
    expect(made.body.result).toMatchObject({
      image: '',
      template: `near:${String(near)}`,
      description: '',
      environment_variables: { OWN: '1' },
      networking: {
        web: { port: 9000, ip_allow_list: ['127.0.0.1'], url: 'frompod-web.pods.localhost' },
      },
    });
    const { result, metadata } = await derived('frompod');
    expect(result).toMatchObject({
      image,
      description: 'near',
      environment_variables: { OWN: '1', WHO: 'frompod', PASS: expect.stringMatching(/^\w{30}$/) },
    });
    expect(metadata['provenance']).toMatchObject({
      image: `deep:${String(deep)}`,
      description: `near:${String(near)}`,
      'networking.web.port': 'pod',
      'networking.web.ip_allow_list': `deep:${String(deep)}`,
      'environment_variables.OWN': 'pod',
      compute_queue: 'default',
    });
    const stored = (await desiredPods(bench.store).get('default/frompod'))?.value;
    expect(stored).toMatchObject({
      image,
      description: 'near',
      networking: { web: { port: 9000, policy: { allow: ['127.0.0.1'] } } },
    });
    expect(JSON.stringify(stored)).not.toContain('OWN');
  });

  test('shows its secrets in no derived pod of somebody who may only read', async () => {
    await template('secret', { image, environment_variables: { PASS: '<<TAPIS_user_password>>' } });
    await ada('POST', '', { pod_id: 'shy', image: '', template: 'secret', command: null });
    await ada('POST', '/shy/permissions', { user: 'bob', level: 'READ' });
    const { result } = await derived('shy', 'bob');
    expect(result['environment_variables']).toEqual({ PASS: '***' });
  });

  test('keeps its own words when it is updated, and stays when the template goes', async () => {
    await template('goes', { image, description: 'theirs', resources: { cpu_limit: 3000 } });
    await ada('POST', '', { pod_id: 'stays', template: 'goes' });
    await ada('DELETE', '/templates/goes');
    const updated = await ada('PUT', '/stays', { resources: { mem_limit: 4096 } });
    expect(updated.body.result).toMatchObject({ resources: { cpu_limit: 3000, mem_limit: 4096 } });
    expect((await derived('stays')).result).toMatchObject({ image, description: 'theirs' });
    const same = await ada('PUT', '/stays', { resources: { mem_limit: 4096 } });
    expect(same.body.status).toBe('error');
  });

  test('takes the newest version of its tag only when it is told to', async () => {
    await template('grows', { image, description: 'one' });
    await ada('POST', '', { pod_id: 'latest', template: 'grows' });
    const [newest] = await template('grows', { image, description: 'two' });
    await ada('GET', '/latest/restart');
    expect((await derived('latest')).result['description']).toBe('one');
    const restarted = await ada('GET', '/latest/restart?grab_latest_template_tag=True');
    expect(restarted.body.result).toMatchObject({ template: `grows:${String(newest)}` });
    expect((await derived('latest')).result['description']).toBe('two');
    expect((await ada('GET', '/latest/restart?grab_latest_template_tag=perhaps')).status).toBe(400);
  });

  test.each([
    [{ template: 'grows:none' }, 'has no tag none'],
    [{ template: 'grows:latest@2001-01-01-00:00:00' }, 'has no tag latest@2001-01-01-00:00:00'],
    [{ template: 'grows', environment_variables: { A: '<<TAPIS_x>>' } }, '<<TAPIS_x>> is no'],
    [{ template: 'grows', networking: { [`n${'a'.repeat(60)}`]: {} } }, 'together more than'],
  ])('is refused as %j', async (fields, text) => {
    const answer = await ada('POST', '', { pod_id: 'refused', ...fields });
    expect(answer.status).toBe(400);
    expect(String(answer.body.message)).toContain(text);
  });

  test('is saved as a tag that says what was said of it', async () => {
    await template('source', { image, description: 'below' });
    await ada('POST', '', {
      pod_id: 'saved',
      template: 'source',
      environment_variables: { A: 'b' },
      networking: { web: { port: 7000 } },
    });
    await ada('POST', '/templates', { template_id: 'target' });
    const body = { template_id: 'target', commit_message: 'from a pod', tag: 'v1' };
    const answer = await ada('POST', '/saved-web/save_pod_as_template_tag', body);
    expect(answer.body.result).toMatchObject({
      template_id: 'target',
      tag: 'v1',
      pod_definition: {
        image: null,
        description: null,
        template: expect.stringMatching(/^source:latest@/),
        environment_variables: { A: 'b' },
        networking: { web: { port: 7000 } },
      },
    });
    await ada('POST', '', { pod_id: 'copy', template: 'target:v1' });
    expect((await derived('copy')).result).toMatchObject({
      description: 'below',
      environment_variables: { A: 'b' },
    });
    await as('admin', 'POST', '/templates', { template_id: 'foreign' });
    const foreign = { ...body, template_id: 'foreign' };
    expect((await ada('POST', '/saved/save_pod_as_template_tag', foreign)).status).toBe(403);
  });
});

describe('permissions of a template', () => {
  test('are levels of users, of the tenant, and for reading of others', async () => {
    await template('shared', { image });
    expect((await as('bob', 'GET', '/templates/shared')).status).toBe(403);
    const made = await as('bob', 'POST', '', { pod_id: 'bobs', template: 'shared' });
    expect(made.body.message).toEqual([
      'body, template: there is no template shared that you may read',
    ]);
    await ada('POST', '/templates/shared/permissions', { user: '*', level: 'read' });
    expect((await as('bob', 'GET', '/templates/shared')).status).toBe(200);
    expect((await as('bob', 'PUT', '/templates/shared', { description: 'x' })).status).toBe(403);
    expect((await as('bob', 'POST', '', { pod_id: 'bobs', template: 'shared' })).status).toBe(200);
    const list = await ada('GET', '/templates/shared/permissions');
    expect(list.body.result).toEqual({ permissions: ['ada:ADMIN', '*:READ'] });
    const gone = await ada('DELETE', '/templates/shared/permissions/*');
    expect(gone.body.result).toEqual({ permissions: ['ada:ADMIN'] });
    for (const user of ['ada', 'bob', 'constructor'])
      expect((await ada('DELETE', `/templates/shared/permissions/${user}`)).status).toBe(400);
  });

  test('beyond the tenant are given by admins, and only for reading', async () => {
    await as('admin', 'POST', '/templates', { template_id: 'public' });
    const path = '/templates/public/permissions';
    await as('admin', 'POST', path, { user: 'ada', level: 'ADMIN' });
    expect((await ada('POST', path, { user: '**', level: 'READ' })).status).toBe(403);
    expect((await as('admin', 'POST', path, { user: '**', level: 'USER' })).status).toBe(400);
    expect((await as('admin', 'POST', path, { user: '**', level: 'READ' })).status).toBe(200);
    expect((await as('bob', 'GET', '/templates/public')).status).toBe(200);
    const tenants = await as('admin', 'POST', path, { user: 'tenant.other', level: 'READ' });
    expect(tenants.body.result).toEqual({
      permissions: ['admin:ADMIN', 'ada:ADMIN', '**:READ', 'tenant.other:READ'],
    });
  });
});

/** Written past the API, which stores references resolved and so cannot make a loop. */
async function chain(ids: readonly string[], lastBuildsOn: string | undefined): Promise<void> {
  const stamp = 'latest@2026-01-01-12:00:00';
  for (const [index, id] of ids.entries()) {
    await template(id);
    const stored = await templates(bench.store).get(id);
    if (!stored) throw new Error(`no template ${id}`);
    const entry = { tag: 'latest', timestamp: stamp, commitMessage: '', addedBy: 'ada' };
    const tags = [{ ...entry, createdAtMs: 0 }];
    await templates(bench.store).put(id, { ...stored.value, tags }, 'anything');
    const next = ids[index + 1] ?? lastBuildsOn;
    const definition = next === undefined ? { image } : { template: `${next}:${stamp}` };
    await tagDefinitions(bench.store).put(`${id}:${stamp}`, definition, 'absent');
  }
}

const ids = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `chain${letter}${index}`);

describe('a chain of templates', () => {
  test.each([
    ['itself', ids('a', 1), 'chaina0'],
    ['its second, deep down', ids('b', 15), 'chainb1'],
  ])('that comes back to %s is refused', async (_name, chained, back) => {
    await chain(chained, back);
    const answer = await ada('POST', '', { pod_id: 'looped', template: chained[0] });
    expect(answer.status).toBe(400);
    expect(String(answer.body.message)).toContain(
      `${back}:latest@2026-01-01-12:00:00 builds on itself`,
    );
  });

  test('says at most 64 KiB in a tag and 256 KiB in all', async () => {
    const large = { image, environment_variables: { A: 'x'.repeat(60 * 1024) } };
    let below: object = {};
    for (const id of ids('d', 5)) {
      await template(id, { ...large, ...below });
      below = { template: id };
    }
    expect((await ada('POST', '', { pod_id: 'large', template: 'chaind3' })).status).toBe(200);
    const refused = await ada('POST', '', { pod_id: 'toolarge', template: 'chaind4' });
    expect(String(refused.body.message)).toContain('say too much');
    const variables = { A: 'x'.repeat(65 * 1024) };
    const body = {
      pod_definition: { environment_variables: variables },
      commit_message: '',
    };
    expect((await ada('POST', '/templates/chaind0/tags', body)).status).toBe(413);
  });

  test('has at most twenty', async () => {
    await chain(ids('c', 21), undefined);
    const long = await ada('POST', '', { pod_id: 'toolong', template: 'chainc0' });
    expect(String(long.body.message)).toContain('builds on more than 20 others');
    expect((await ada('POST', '', { pod_id: 'longest', template: 'chainc1' })).status).toBe(200);
  });
});
