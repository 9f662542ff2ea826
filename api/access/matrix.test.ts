import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';
import type { Access } from './declared.ts';
import { accessInWords } from './declared.ts';

/** Every operation, tried by everybody: nobody gets further than the declaration says. */

const people = ['stranger', 'reader', 'user', 'manager', 'admin'] as const;
type Person = (typeof people)[number];
const levels: Partial<Record<Person, string>> = { reader: 'READ', user: 'USER', manager: 'ADMIN' };

interface Operation {
  readonly operationId: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly access: string;
}

interface Described {
  readonly operationId: string;
  readonly description: string;
}

const levelled = ['READ', 'USER', 'ADMIN'].flatMap((level) =>
  ['pod', 'template'].map((object) => `${level} on ${object}` as Access),
);
const accesses: readonly Access[] = ['anybody', 'user', 'admin', 'site admin', ...levelled];
/** The declaration by how the description says it. */
const accessOf = new Map(accesses.map((access) => [accessInWords(access), access]));

let bench: Bench;
let operations: readonly Operation[] = [];

beforeAll(async () => {
  bench = await openBench();
  await bench.routes.begin(1, []);
  const { body } = await bench.call('GET', '/v3/openapi.json');
  const { paths } = body as unknown as { paths: Record<string, Record<string, Described>> };
  operations = Object.entries(paths).flatMap(([url, methods]) =>
    Object.entries(methods).map(([method, { operationId, description }]) => ({
      operationId,
      url,
      access: accessOf.get(description) ?? description,
      method: method.toUpperCase() as Operation['method'],
    })),
  );
  for (const name of [...people, 'owner']) await bench.addUser(name, 'pass word', name === 'admin');
  const other = { tenant_id: 'other', admin: { username: 'owner', password: 'pass word' } };
  await bench.as('admin')('POST', '/v3/tenants', { body: other });
}, 60_000);

afterAll(() => bench.close());

/** A pod and a template of the owner, on which each has the level of their name. */
async function prepare(): Promise<void> {
  const owner = bench.as('owner');
  for (const [collection, body] of [
    ['/v3/pods', { pod_id: 'thing', image: 'podgate/hello' }],
    ['/v3/pods/templates', { template_id: 'thing' }],
  ] as const) {
    await owner('POST', collection, { body });
    for (const [user, level] of Object.entries(levels))
      await owner('POST', `${collection}/thing/permissions`, { body: { user, level } });
  }
}

const pathOf = ({ url }: Operation): string =>
  url
    .replace('{status}', '404')
    .replace('{user}', 'reader')
    .replace('{username}', 'nosuch')
    .replaceAll(/\{\w+\}/g, 'thing');

/** Whether a person is let past the declared access. */
function isLet(person: Person, access: string): boolean {
  if (access === 'user' || person === 'admin') return true;
  const [level = '', , object] = access.split(' ');
  if (object === undefined) return false;
  const order = ['READ', 'USER', 'ADMIN'];
  return order.indexOf(levels[person] ?? '') >= order.indexOf(level);
}

test('every route says who may call it', async () => {
  expect(operations.length).toBeGreaterThan(75);
  for (const { access, operationId } of operations)
    expect
      .soft(access, operationId)
      .toMatch(/^(anybody|user|admin|site admin|(READ|USER|ADMIN) on (pod|template))$/);
  const open = operations.filter(({ access }) => access === 'anybody');
  expect(open.map(({ operationId }) => operationId).toSorted()).toEqual([
    'authorize',
    'create_service_token',
    'create_token',
    'error_handler',
    'get_tenant',
    'healthcheck',
    'list_sites',
    'list_tenants',
    'pod_auth',
    'pod_auth_callback',
    'refresh_service_token',
    'revoke_token',
  ]);
});

test('a route that does not say so cannot be made', () => {
  expect(() => bench.app.get('/v3/unsaid', () => 'x')).toThrow();
});

/** What names a pod or a template of the owner. */
const isOfOwner = ({ url, access }: Operation): boolean =>
  access.includes(' on ') || url.startsWith('/v3/pods/{');

describe('what is not for anybody', () => {
  test('is refused to nobody in particular', async () => {
    for (const operation of operations.filter(({ access }) => access !== 'anybody')) {
      const { method, operationId } = operation;
      expect.soft((await bench.call(method, pathOf(operation))).status, operationId).toBe(401);
    }
  });

  test('is not even there for another tenant, nor does its admin decide for the site', async () => {
    const theirAdmin = bench.as('owner', 'other');
    for (const operation of operations.filter(({ access }) => access !== 'anybody')) {
      const { method, operationId, access } = operation;
      if (!isOfOwner(operation) && access !== 'site admin') continue;
      await prepare();
      const body = bodies[operationId];
      const answer = await theirAdmin(method, pathOf(operation), body ? { body } : {});
      expect.soft([403, 404], `${operationId} ${answer.status}`).toContain(answer.status);
    }
  });

  test.each(people)(
    'is open to %s as far as declared',
    async (person) => {
      for (const operation of operations.filter(({ access }) => access !== 'anybody')) {
        const { method, operationId, access } = operation;
        await prepare();
        const body = bodies[operationId];
        const options = body ? { body } : {};
        const answer = await bench.as(person)(method, pathOf(operation), options);
        const refused = answer.status === 403;
        expect
          .soft(refused, `${operationId} answered ${answer.status}`)
          .toBe(!isLet(person, access));
        // What was let through was understood, not refused before anything was checked.
        if (!refused) expect.soft([200, 404, 409, 501, 503], operationId).toContain(answer.status);
      }
    },
    60_000,
  );
});

const tag = { commit_message: 'x', tag: 'v' };

/** What operations with a body need, so that they are not refused for that. */
const bodies: Readonly<Record<string, object>> = {
  create_pod: { pod_id: 'thing', image: 'podgate/hello' },
  update_pod: { description: 'x' },
  set_pod_permission: { user: 'reader', level: 'READ' },
  set_template_permission: { user: 'reader', level: 'READ' },
  add_template: { template_id: 'thing' },
  create_template: { template_id: 'thing' },
  update_template: { description: 'x' },
  add_template_tag: { pod_definition: {}, ...tag },
  create_template_tag: { pod_definition: {}, ...tag },
  save_pod_as_template_tag: { template_id: 'thing', ...tag },
  add_image: { image: 'thing' },
  add_images: [{ image: 'thing' }],
  create_client: { callback_url: 'https://app.example.org/' },
  update_client: { description: 'x' },
  create_tenant: { tenant_id: 'thing' },
  update_tenant: { description: 'x' },
  create_user: { username: 'somebody', password: 'pass word' },
  update_user: { email: 'x@example.org' },
  change_password: { old_password: 'pass word', new_password: 'pass word' },
};
