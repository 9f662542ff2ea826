import { expect, test } from 'vitest';
import { networksOf, spec as exampleSpec } from '../../../test/conformance/runtime.ts';
import type { Places } from './places.ts';
import { environmentOf, programOf } from './program.ts';

const spec = exampleSpec({
  command: ['true'],
  networks: networksOf('default'),
  environment: { NODE_OPTIONS: '--import=data:,x', LD_PRELOAD: '/x.so', HELLO_NAME: 'Ada' },
});

const ports = { default: 20_001 };

test('hello gets the variables that it reads, and none that its loader would obey', () => {
  const environment = environmentOf({ ...spec, image: 'podgate/hello:latest' }, '/work', ports);
  expect(environment).toEqual({
    PATH: expect.any(String),
    HOME: '/work',
    LANG: 'C.UTF-8',
    PORT: '20001',
    PORT_DEFAULT: '20001',
    HELLO_NAME: 'Ada',
  });
});

test('a program of its user gets all of them, but its ports are ours to say', () => {
  const own = { ...spec, environment: { ...spec.environment, PORT: '1' } };
  const environment = environmentOf(own, '/work', ports);
  expect(environment).toMatchObject({ ...spec.environment, PORT: '20001' });
});

test('GPUs are refused, as nothing hands them to a process', () => {
  const places = { pods: '/pods', node: '/node', hello: '/hello' } as Places;
  const resources = { ...spec.resources, gpus: 1 };
  expect(() => programOf({ ...spec, resources }, places, {})).toThrow(/resources\.gpus is 1/);
});
