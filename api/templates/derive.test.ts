import { assert, constantFrom, dictionary, integer, property, record, option } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Definition, Layer } from '#contracts/pod.ts';
import { explain } from '../pods/shape.ts';
import { merge } from './derive.ts';

/** How a pod and its templates become one. */

const layer = (ref: string, definition: Definition): Layer => ({ ref, definition });
const base = layer('base:1@t', {
  image: 'postgres',
  command: ['base'],
  environment_variables: { A: 'base', B: 'base' },
  resources: { cpu_limit: 1000, mem_limit: 1024 },
  networking: { sql: { protocol: 'postgres', port: 5432, ip_allow_list: ['10.0.0.0/8'] } },
});
const middle = layer('middle:1@t', {
  description: 'middle',
  environment_variables: { B: 'middle', C: 'middle' },
  resources: { cpu_limit: 3000 },
  networking: { web: { port: 80, cors_allow_origins: ['*'] } },
});
const chain = [middle, base];

describe('the closest wins, leaf by leaf', () => {
  test('over a chain of templates', () => {
    const own: Definition = {
      image: 'mine',
      environment_variables: { C: 'mine', D: 'mine' },
      networking: { web: { port: 8080 } },
      resources: { mem_limit: 2048 },
    };
    const { effective, provenance } = explain(own, chain);
    expect(effective).toMatchObject({
      image: 'mine',
      description: 'middle',
      command: ['base'],
      arguments: null,
      environment_variables: { A: 'base', B: 'middle', C: 'mine', D: 'mine' },
      resources: { cpu_request: 250, cpu_limit: 3000, mem_request: 256, mem_limit: 2048, gpus: 0 },
    });
    expect(provenance).toMatchObject({
      image: 'pod',
      description: 'middle:1@t',
      command: 'base:1@t',
      arguments: 'default',
      'environment_variables.A': 'base:1@t',
      'environment_variables.C': 'pod',
      'resources.cpu_limit': 'middle:1@t',
      'resources.cpu_request': 'default',
      'networking.web.port': 'pod',
      'networking.web.cors_allow_origins': 'middle:1@t',
      'networking.sql.ip_allow_list': 'base:1@t',
    });
  });

  test('so a pod that changes the port keeps the policies of the template', () => {
    const { effective } = explain({ networking: { sql: { port: 6000 } } }, chain);
    expect(effective.networking['sql']).toMatchObject({
      protocol: 'postgres',
      port: 6000,
      ip_allow_list: ['10.0.0.0/8'],
    });
    expect(Object.keys(effective.networking)).toEqual(['sql', 'web']);
  });
});

describe('networks that nobody names', () => {
  test('are the default one without a template', () => {
    const { effective } = explain({ image: 'x' }, []);
    expect(Object.keys(effective.networking)).toEqual(['default']);
    expect(effective.networking['default']).toMatchObject({ protocol: 'http', port: 5000 });
  });

  test('are the default one when no template names any, and else not', () => {
    const silent = layer('silent:1@t', { image: 'x' });
    expect(Object.keys(explain({}, [silent]).effective.networking)).toEqual(['default']);
    expect(Object.keys(explain({}, chain).effective.networking)).toEqual(['web', 'sql']);
  });
});

test('variables of templates are left out when the pod says so', () => {
  const own = { environment_variables: { _TAPIS_INTERNAL_USE_TEMPLATE_ENVS: 'False', X: '1' } };
  const { definition } = merge(own, chain);
  expect(Object.keys(definition.environment_variables ?? {})).toEqual([
    '_TAPIS_INTERNAL_USE_TEMPLATE_ENVS',
    'X',
  ]);
});

test('what contradicts itself after merging is refused by its path', () => {
  const tcp = layer('tcp:1@t', { image: 'x', networking: { sql: { alpn: ['h2'] } } });
  expect(() => explain({}, [tcp])).toThrow('body, networking, sql, alpn: needs protocol tcp');
  const own = { networking: { sql: { protocol: 'tcp' } } };
  expect(explain(own, [tcp]).effective.networking['sql']?.alpn).toEqual(['h2']);
  const small = layer('small:1@t', { image: 'x', resources: { cpu_limit: 250 } });
  expect(() => explain({ resources: { cpu_request: 500 } }, [small])).toThrow(
    'body, resources, cpu_request: must not be more than cpu_limit',
  );
  expect(() => explain({}, [layer('a:1@t', {})])).toThrow('body, image: Field required');
});

const words = constantFrom('a', 'b', 'c');
const definitions = record(
  {
    image: words,
    environment_variables: dictionary(words, words),
    resources: dictionary(constantFrom('cpu_limit', 'mem_limit'), integer({ min: 300, max: 900 })),
    networking: dictionary(constantFrom('web', 'api'), record({ port: option(integer()) })),
  },
  { requiredKeys: [] },
);

test('an empty layer changes nothing, and merging in two steps is merging in one', () => {
  assert(
    property(definitions, definitions, definitions, (own, first, second) => {
      const layers = [layer('first', first), layer('second', second)];
      const whole = merge(own, layers);
      expect(merge(own, [layer('empty', {}), ...layers])).toEqual(whole);
      const below = merge(first, [layer('second', second)]).definition;
      // A default network of the lower step is no word of anybody.
      const names = { ...first.networking, ...second.networking };
      const networking = Object.keys(names).length > 0 ? below.networking : {};
      const twice = merge(own, [layer('below', { ...below, networking })]);
      expect(twice.definition).toEqual(whole.definition);
    }),
  );
});
