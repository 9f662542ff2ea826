import { describe, expect, test } from 'vitest';
import { limits } from '../limits.ts';
import type { ResponseHead } from './response-head.ts';
import { LastAnswer, parseResponseHead } from './response-head.ts';

const ok = (...fields: string[]): string => ['HTTP/1.1 200 OK', ...fields].join('\r\n');

const parse = (lines: string, method: string): ResponseHead | undefined =>
  parseResponseHead(`${lines}\r\n`, method);

function accepted(head: string, method = 'GET'): ResponseHead {
  const parsed = parse(head, method);
  if (!parsed) throw new Error('refused');
  return parsed;
}

describe('an answer that could be read in two ways is not passed on', () => {
  test.each([
    ok('Transfer-Encoding: chunked', 'Content-Length: 3'),
    ok('Content-Length: 3', 'Transfer-Encoding: chunked'),
    ok('Content-Length: 3', 'Content-Length: 3'),
    ok('Content-Length: 3', 'Content-Length: 4'),
    ok('Content-Length: 3, 3'),
    ok('Content-Length: +3'),
    ok('Content-Length: 0x3'),
    ok('Content-Length: 03'),
    ok('Content-Length:'),
    ok('Content-Length: 9007199254740992'),
    ok('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
    ok('Transfer-Encoding: gzip, chunked'),
    ok('Transfer-Encoding: identity'),
    ok('Transfer-Encoding: chunked;a'),
    ok('Transfer-Encoding: chunked\t'),
    ok('Transfer-Encoding:\tchunked'),
    ok('Transfer-Encoding: chunked\u000b'),
    ok('Transfer-Encoding : chunked'),
    ok('A: b', ' folded'),
    ok('A: b\nB: c'),
    ok('A: b\rB: c'),
    ok('A: \u0000'),
    ok('no colon'),
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked',
    'HTTP/1.1 600 Much',
    'HTTP/1.1 099 Little',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.2 200 OK',
    'HTTP/2 200',
    'ICY 200 OK',
    ' HTTP/1.1 200 OK',
    '',
    'SSH-2.0-OpenSSH_9.6',
  ])('%j', (head) => {
    expect(parse(head, 'GET')).toBeUndefined();
  });
});

describe('where the body ends', () => {
  test.each<[string, string, object]>([
    ['GET', ok('Content-Length: 3'), { framing: 'length', length: 3 }],
    ['GET', ok('Content-Length: 0'), { framing: 'none' }],
    ['GET', ok('Transfer-Encoding: Chunked'), { framing: 'chunked' }],
    ['GET', ok(), { framing: 'close', keepAlive: false }],
    ['GET', ok('Connection: keep-alive'), { framing: 'close', keepAlive: false }],
    ['HEAD', ok('Content-Length: 3'), { framing: 'none', keepAlive: true }],
    ['HEAD', ok('Transfer-Encoding: chunked'), { framing: 'none', keepAlive: true }],
    ['HEAD', ok(), { framing: 'none', keepAlive: true }],
    ['GET', 'HTTP/1.1 204 No Content', { framing: 'none', keepAlive: true }],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 3', { framing: 'none', keepAlive: true }],
    ['POST', 'HTTP/1.1 100 Continue', { framing: 'none', status: 100 }],
    ['GET', 'HTTP/1.1 103 Early Hints\r\nLink: </a>', { framing: 'none', status: 103 }],
    ['GET', 'HTTP/1.1 200', { status: 200, framing: 'close' }],
  ])('%s, %j', (method, head, body) => {
    expect(accepted(head, method)).toMatchObject(body);
  });

  test('a length for HEAD or 304 is still told to the client', () => {
    expect(accepted(ok('Content-Length: 3'), 'HEAD').text).toContain('Content-Length: 3\r\n');
  });
});

test.each([100, 103, 204])('%i tells of no body, for nobody to wait for', (status) => {
  const start = `HTTP/1.1 ${status} X\r\n`;
  expect(accepted(`${start}Content-Length: 5\r\nA: b`).text).toBe(`${start}A: b\r\n`);
  expect(accepted(`${start}Transfer-Encoding: chunked`).text).toBe(start);
});

test('fields of the one hop are left out, the others go on verbatim', () => {
  const head = ok(
    'Connection: close',
    'Keep-Alive: timeout=5',
    'Upgrade: h2',
    'set-cookie:a',
    'Set-Cookie: b ',
    'Proxy-Authenticate: x',
  );
  expect(accepted(head).text).toBe('HTTP/1.1 200 OK\r\nset-cookie:a\r\nSet-Cookie: b \r\n');
});

test('fields that Connection names are left out', () => {
  expect(accepted(ok('X-Hop: 1', 'Connection: X-Hop', 'X-Kept: 1')).text).toBe(
    'HTTP/1.1 200 OK\r\nX-Kept: 1\r\n',
  );
});

test('Connection cannot take the length away', () => {
  expect(accepted(ok('Connection: content-length', 'Content-Length: 3')).text).toContain(
    'Length: 3',
  );
});

test.each<[string, string, boolean]>([
  ['1.1', 'X: y', true],
  ['1.1', 'Connection: Close', false],
  ['1.0', 'X: y', false],
  ['1.0', 'Connection: Keep-Alive', true],
])('HTTP/%s with %s lets its connection be used again: %s', (version, field, keepAlive) => {
  const head = `HTTP/${version} 200 OK\r\nContent-Length: 1\r\n${field}`;
  expect(accepted(head)).toMatchObject({ keepAlive });
});

test('the status line is told as HTTP/1.1, its reason untouched', () => {
  expect(accepted('HTTP/1.0 404 Gone Fishing').text).toBe('HTTP/1.1 404 Gone Fishing\r\n');
});

test('a switch to WebSocket is seen, another is not', () => {
  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ';
  expect(accepted(`${switching}WebSocket`)).toMatchObject({ status: 101, websocket: true });
  expect(accepted(`${switching}h2c`)).toMatchObject({ status: 101, websocket: false });
});

test('what a connection said before is not taken for what it says now', () => {
  const last = new LastAnswer(limits);
  const read = (lines: string, method = 'GET'): ResponseHead | undefined =>
    last.read(`${lines}\r\n\r\nbody`, lines.length + 2, method);
  const first = read(ok('Content-Length: 3'));
  expect(first).toMatchObject({ framing: 'length', length: 3 });
  expect(read(ok('Content-Length: 3'))).toBe(first);
  expect(read(ok('Content-Length: 4'))).toMatchObject({ length: 4 });
  expect(read(ok('Content-Length: 4'), 'HEAD')).toMatchObject({ framing: 'none' });
  expect(read(ok('Content-Length: x'))).toBeUndefined();
  expect(read(ok('Content-Length: x'))).toBeUndefined();
  const long = ok('Content-Length: 3', `A: ${'b'.repeat(limits.rememberedHeadBytesMax)}`);
  expect(read(long)).toMatchObject({ length: 3 });
  expect(read(long)).not.toBe(read(long));
});
