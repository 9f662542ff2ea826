import { expect, test } from 'vitest';
import { acceptFor, closeCodeOf, closeFrame } from './websocket.ts';

test('the accept value is that of RFC 6455, 1.3', () => {
  expect(acceptFor('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
});

test('a close frame holds its code and as much of the reason as fits, in whole characters', () => {
  expect(closeFrame(1013, 'later').toString('hex')).toBe('880703f56c61746572');
  const long = closeFrame(1008, '€'.repeat(100));
  expect(long[1]).toBe(long.length - 2);
  expect(long.length - 4).toBeLessThanOrEqual(123);
  expect(long.subarray(4).toString('utf8')).toBe('€'.repeat(41));
});

test.each([
  [503, 1, 'EDGE_POD_STARTING', 1013],
  [503, undefined, 'EDGE_POD_STOPPED', 1013],
  [503, undefined, 'EDGE_POD_FAILED', 1011],
  [502, undefined, 'EDGE_UPSTREAM_FAILED', 1014],
  [504, undefined, 'EDGE_UPSTREAM_TIMEOUT', 1014],
  [403, undefined, 'EDGE_NOT_ALLOWED', 1008],
  [404, undefined, 'EDGE_NO_ROUTE', 1008],
])('%i (retry after %s) %s is %i', (status, retryAfter, code, closeCode) => {
  const page = { status, code, title: '', message: '', ...(retryAfter ? { retryAfter } : {}) };
  expect(closeCodeOf(page)).toBe(closeCode);
});
