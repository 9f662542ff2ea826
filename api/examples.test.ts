import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';

/** Every body, parameter and answer of the OpenAPI document has an example, and a valid one. */

interface Shown {
  readonly name?: string;
  readonly in?: string;
  readonly schema: object;
  readonly example?: unknown;
}
interface WithContent {
  readonly content?: Readonly<Record<string, Shown>>;
}
interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Shown[];
  readonly requestBody?: WithContent;
  readonly responses: Readonly<Record<string, WithContent>>;
}

let bench: Bench;
let defs: Record<string, z.core.JSONSchema.JSONSchema>;
const operations: { method: string; path: string; operation: Operation }[] = [];

beforeAll(async () => {
  bench = await openBench({ runtime: 'engine' });
  const { text } = await bench.call('GET', '/v3/openapi.json');
  const document: {
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: typeof defs };
  } = JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/'));
  defs = document.components.schemas;
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(methods))
      operations.push({ method, path, operation });
}, 30_000);

afterAll(() => bench.close());

const contentOf = (part: WithContent | undefined): Shown[] => Object.values(part?.content ?? {});

/** Everything that shall have an example, with where it stands. */
const shown = (): (readonly [place: string, Shown])[] =>
  operations.flatMap(({ operation: { operationId: id, parameters, requestBody, responses } }) => [
    ...(parameters ?? []).map((each) => [`${id}, ${each.name}`, each] as const),
    ...contentOf(requestBody).map((each) => [`${id}, body`, each] as const),
    ...Object.entries(responses).flatMap(([code, answer]) =>
      contentOf(answer).map((each) => [`${id}, ${code}`, each] as const),
    ),
  ]);

const problemOf = (schema: object, example: unknown): string | undefined =>
  z.fromJSONSchema({ ...schema, $defs: defs }).safeParse(example).error?.message;

test('there is one everywhere, and it is valid', () => {
  expect(shown().length).toBeGreaterThan(300);
  for (const [place, each] of shown()) {
    expect.soft(each, place).toHaveProperty('example');
    const problem = problemOf(each.schema, each.example);
    expect.soft(problem, `${place}: ${JSON.stringify(each.example)}`).toBeUndefined();
  }
});

test('what is looked for would be found', () => {
  const closed = shown().filter(([, { schema }]) => 'properties' in schema);
  expect(closed.length).toBeGreaterThan(50);
  for (const [place, each] of closed) {
    const wrong = { ...Object(each.example), unheardOf: 1 };
    expect.soft(problemOf(each.schema, wrong), place).toContain('unheardOf');
  }
});

/** What takes a body, in an order in which each finds what it needs. */
const story = [
  'add_image',
  'add_images',
  'add_template',
  'create_template',
  'update_template',
  'add_template_tag',
  'create_template_tag',
  'set_template_permission',
  'create_pod',
  'update_pod',
  'set_pod_permission',
  'save_pod_as_template_tag',
  'create_client',
  'update_client',
  'create_token',
  'revoke_token',
  'create_user',
  'create_tenant',
  'update_tenant',
];

test('sent one after the other, the bodies are accepted', async () => {
  await bench.addUser('ada', 'correct horse battery staple', true);
  const ada = bench.as('ada');
  for (const operationId of story) {
    const found = operations.find(({ operation }) => operation.operationId === operationId);
    if (!found) throw new Error(`there is no ${operationId}`);
    const { method, path, operation } = found;
    const parameters = new Map(operation.parameters?.map(({ name, example }) => [name, example]));
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(parameters.get(name)));
    const [body] = contentOf(operation.requestBody);
    const answer = await ada(method === 'put' ? 'PUT' : 'POST', url, { body: body?.example });
    const { status, message } = answer.body;
    expect.soft([status, message], operationId).toEqual(['success', expect.any(String)]);
    // Several of them make the same.
    if (operationId === 'add_image') await ada('DELETE', '/v3/pods/images/postgres');
    if (operationId === 'add_template') await ada('DELETE', '/v3/pods/templates/postgres');
  }
});
