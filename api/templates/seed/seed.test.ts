import { describe, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { allowedImages } from '#contracts/image.ts';
import { definitionOf, explain, shapeOf } from '../../pods/shape.ts';
import { parse } from '../../validation.ts';
import { tagDefinitions, templates } from '../records.ts';
import { zNewTemplate, zPodDefinition } from '../schemas.ts';
import { seedsFor } from './by-runtime.ts';
import { containerSeeds } from './containers.ts';
import { processSeeds } from './processes.ts';
import { plant } from './seed.ts';

/** The templates that come with Podgate. */

const containers = containerSeeds(443);
const processes = processSeeds(
  {
    postgres: '/usr/lib/postgresql/15/bin',
    neo4j: { java: '/usr/bin/java', jars: '/opt/neo4j/lib' },
  },
  443,
);

test('are those that users look for', () => {
  const ids = (seeds: typeof containers) => seeds.map(({ templateId }) => templateId).toSorted();
  expect(ids(containers)).toEqual(
    'bookstack codeserver jupyter mariadb mongo neo4j nginx ollama openwebui postgres uptimekuma'.split(
      ' ',
    ),
  );
  expect(ids(processes)).toEqual(['hello', 'neo4j', 'postgres']);
  const bare = processSeeds({ postgres: undefined, neo4j: undefined }, 443);
  expect(ids(bare)).toEqual(['hello']);
});

test('hello comes with everything that can run it', () => {
  const programs = { postgres: undefined, neo4j: undefined };
  const withHello = (['process', 'auto', 'engine', 'kubernetes'] as const).filter((runtime) =>
    seedsFor({ runtime, publicHttpsPort: 443, programs }).some(
      ({ templateId }) => templateId === 'hello',
    ),
  );
  expect(withHello).toEqual(['process', 'auto', 'engine']);
});

describe.each([...containers, ...processes])('$templateId ($definition.image)', (seed) => {
  test('is what a user could have made, and gives a whole pod', () => {
    const { templateId: template_id, description, metatags } = seed;
    expect(description.length).toBeGreaterThan(30);
    parse(zNewTemplate, 'body', { template_id, description, metatags });
    const definition = definitionOf(parse(zPodDefinition, 'body', seed.definition));
    const below = {
      ref: `${template_id}:latest@2026-01-01-12:00:00`,
      layers: [{ ref: 'x', definition }],
    };
    const { effective } = shapeOf('mypod', {}, below);
    expect(effective.resources.mem_limit).toBeGreaterThanOrEqual(512);
    const { provenance } = explain({}, below.layers);
    for (const leaf of ['image', 'resources.cpu_request', 'resources.mem_limit'])
      expect(provenance[leaf], leaf).toBe('x');
    expect(
      Object.keys(provenance).filter((path) => /networking\.\w+\.port/.test(path)),
    ).not.toEqual([]);
  });
});

test('only the database that cannot be reached by name is for other pods alone', () => {
  const local = containers.filter((seed) => JSON.stringify(seed.definition).includes('local_only'));
  expect(local.map(({ templateId }) => templateId)).toEqual(['mariadb']);
  expect(local[0]?.description).toContain('for other pods only');
});

describe('planting', () => {
  const logged: string[] = [];
  const write = (_fields: object, message: string): void => void logged.push(message);
  const log = { debug: write, info: write, warn: write, error: write };
  const clock = new ManualClock(Date.UTC(2026, 0, 1, 12));

  test('makes them once, and one that changed gets a new version', async () => {
    const store = new MemoryStore();
    await plant({ store, clock, log }, 'default', containers);
    await plant({ store, clock, log }, 'default', containers);
    const { documents } = await templates(store).list();
    expect(documents).toHaveLength(containers.length);
    expect(documents.map(({ value }) => value.tags.length)).toEqual(containers.map(() => 1));
    expect((await allowedImages(store).get('postgres'))?.value.tenants).toEqual(['*']);
    const first = containers.find(({ templateId }) => templateId === 'postgres');
    if (!first) throw new Error('no seeds');
    const changed = { ...first, definition: { ...first.definition, image: 'postgres:18' } };
    await plant({ store, clock, log }, 'default', [changed]);
    const template = (await templates(store).get(first.templateId))?.value;
    expect(template?.tags.map(({ timestamp }) => timestamp)).toEqual([
      'latest@2026-01-01-12:00:00',
      'latest@2026-01-01-12:00:01',
    ]);
    const said = { ...changed, description: 'Said in other words, and nothing else is new.' };
    await plant({ store, clock, log }, 'default', [said]);
    const again = (await templates(store).get(first.templateId))?.value;
    expect(again).toMatchObject({ description: said.description, tags: template?.tags });
    const newest = await tagDefinitions(store).get('postgres:latest@2026-01-01-12:00:01');
    expect(newest?.value.image).toBe('postgres:18');
  });

  test('leaves a template of a user alone', async () => {
    const store = new MemoryStore();
    const mine = {
      templateId: 'nginx',
      tenant: 'default',
      description: 'mine',
      metatags: [],
      archiveMessage: '',
      permissions: { ada: 'ADMIN' as const },
      tags: [],
      createdAtMs: 0,
      updatedAtMs: 0,
    };
    await templates(store).put('nginx', mine, 'absent');
    await plant({ store, clock, log }, 'default', containers);
    expect((await templates(store).get('nginx'))?.value).toEqual(mine);
    expect(logged.at(-1)).toContain('a user has a template of this name');
  });

  test('goes on past a record that is damaged', async () => {
    const store = new MemoryStore();
    await store.put('templates', { id: 'neo4j', value: { broken: true } }, 'absent');
    await plant({ store, clock, log }, 'default', containers);
    expect(logged.at(-1)).toBe('damaged, not planted');
    expect((await templates(store).get('postgres'))?.value.tags).toHaveLength(1);
  });
});
