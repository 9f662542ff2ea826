import { describe, expect, test } from 'vitest';
import type { Compression } from '#contracts/policy.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { parseResponseHead } from '../http1/response-head.ts';
import { chooseCoding, negotiate } from './negotiate.ts';

const compression: Compression = {
  codings: ['zstd', 'br', 'gzip'],
  excludedTypes: ['text/csv'],
  minBytes: 1024,
};

const terms = { compression, mayCode: true };

function head(fields: string, status = 200): ResponseHead {
  const parsed = parseResponseHead(`HTTP/1.1 ${status} OK\r\n${fields}`, 'GET');
  if (!parsed) throw new Error('no head');
  return parsed;
}

const asked = { method: 'GET', acceptEncoding: 'gzip, br', noTransform: false };
const html = 'Content-Type: text/html; charset=utf-8\r\nContent-Length: 5000\r\n';

test('a page is compressed, and says so', () => {
  const answer = head(`${html}ETag: "v1"\r\nAccept-Ranges: bytes\r\nVary: Origin\r\n`);
  const negotiated = negotiate(answer, asked, terms);
  expect(negotiated.coding).toBe('br');
  expect(negotiated.head.framing).toBe('close');
  expect(negotiated.head.text).toBe(
    'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nETag: W/"v1"\r\nVary: Origin\r\n' +
      'Vary: Accept-Encoding\r\nContent-Encoding: br\r\n',
  );
});

test('with all coders at work it goes out as it is', () => {
  const negotiated = negotiate(head(html), asked, { compression, mayCode: false });
  expect(negotiated.coding).toBeUndefined();
  expect(negotiated.head.text).toContain('Vary: Accept-Encoding\r\n');
});

test('caches are told, though this client wants none', () => {
  const negotiated = negotiate(head(html), { ...asked, acceptEncoding: '' }, terms);
  expect(negotiated.coding).toBeUndefined();
  expect(negotiated.head.text).toContain('Vary: Accept-Encoding\r\n');
  expect(negotiated.head.framing).toBe('length');
});

describe('left alone', () => {
  test.each<[string, string, number?]>([
    ['an image', 'Content-Type: image/png\r\n'],
    ['a film', 'Content-Type: video/mp4\r\n'],
    ['an archive', 'Content-Type: application/zip\r\n'],
    ['events', 'Content-Type: text/event-stream\r\n'],
    ['messages of gRPC', 'Content-Type: application/grpc+proto\r\n'],
    ['what is said to be excluded', 'Content-Type: text/csv\r\n'],
    ['an unknown type', ''],
    ['what is compressed', `${html}Content-Encoding: gzip\r\n`],
    ['no-transform', `${html}Cache-Control: public, no-transform\r\n`],
    ['what must not be buffered', `${html}X-Accel-Buffering: no\r\n`],
    ['what has a digest', `${html}Content-Digest: sha-256=:x:\r\n`],
    ['little', 'Content-Type: text/html\r\nContent-Length: 1023\r\n'],
    ['a part', html, 206],
    ['not modified', html, 304],
  ])('%s', (_name, fields, status) => {
    const answer = head(fields, status);
    expect(negotiate(answer, asked, terms)).toEqual({ head: answer, coding: undefined });
  });

  test.each([
    ['HEAD', { ...asked, method: 'HEAD' }],
    ['a request that wants it as it is', { ...asked, noTransform: true }],
  ])('%s', (_name, request) => {
    const answer = head(html);
    expect(negotiate(answer, request, terms).head).toBe(answer);
  });

  test('svg is an image of text', () => {
    const answer = head('Content-Type: image/svg+xml\r\n');
    expect(negotiate(answer, asked, terms).coding).toBe('br');
  });
});

test.each([
  ['', undefined],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['GZIP', 'gzip'],
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip;q=1.0, br;q=0.5', 'gzip'],
  ['br;q=0, gzip;q=0', undefined],
  ['*', 'zstd'],
  ['*;q=0.5, gzip', 'gzip'],
  ['zstd;q=0, *', 'br'],
  ['identity', undefined],
  ['identity;q=1, gzip;q=0.5', undefined],
  ['identity;q=0.5, gzip;q=0.5', 'gzip'],
  ['deflate', undefined],
  ['gzip;q=nonsense', undefined],
])('Accept-Encoding: %s', (accepted, coding) => {
  expect(chooseCoding(accepted, compression.codings)).toBe(coding);
});
