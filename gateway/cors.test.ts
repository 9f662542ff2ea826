import { expect, test } from 'vitest';
import type { Cors } from '#contracts/policy.ts';
import { preflightFields, withCors } from './cors.ts';

const cors: Cors = {
  origins: ['https://app.test'],
  methods: [],
  headers: [],
  credentials: false,
  maxAgeSeconds: 100,
};
const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';

test('the pod’s own rules are replaced', () => {
  const own = 'Access-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n';
  expect(withCors(`${head}${own}X: y\r\n`, cors, 'https://app.test')).toBe(
    `${head}X: y\r\nAccess-Control-Allow-Origin: https://app.test\r\nVary: Origin\r\n`,
  );
});

test.each([
  ['https://evil.test', 'Vary: Origin\r\n'],
  ['https://app.test.evil.test', 'Vary: Origin\r\n'],
  ['null', 'Vary: Origin\r\n'],
  ['', 'Vary: Origin\r\n'],
])('the origin %s is told nothing', (origin, fields) => {
  expect(withCors(head, cors, origin)).toBe(`${head}${fields}`);
});

test('everybody may', () => {
  const open = { ...cors, origins: ['*'] };
  expect(withCors(head, open, '')).toBe(`${head}Access-Control-Allow-Origin: *\r\n`);
});

test('without methods the simple ones are allowed, * is what was asked for', () => {
  const asks = { origin: 'https://app.test', method: 'PATCH', headers: 'x-a, x-b' };
  expect(preflightFields(cors, asks)).toContain('Allow-Methods: GET, HEAD, POST\r\n');
  expect(preflightFields(cors, asks)).not.toContain('Allow-Headers');
  const any = preflightFields({ ...cors, methods: ['*'], headers: ['*'] }, asks);
  expect(any).toContain('Access-Control-Allow-Methods: PATCH\r\n');
  expect(any).toContain('Access-Control-Allow-Headers: x-a, x-b\r\n');
});
