import { describe, expect, test } from 'vitest';
import { limits } from '../limits.ts';
import { Refusal } from './fields.ts';
import type { RequestHead } from './request-head.ts';
import { LastFields, parseRequestHead } from './request-head.ts';

const host = 'Host: a.example.test';
const get = (...fields: string[]): string => ['GET / HTTP/1.1', host, ...fields].join('\r\n');
const line = (start: string): string => `${start}\r\n${host}`;
const withHost = (value: string): string => `GET / HTTP/1.1\r\nHost: ${value}`;

const parse = (lines: string): RequestHead | Refusal => parseRequestHead(`${lines}\r\n`, limits);

function accepted(head: string): RequestHead {
  const parsed = parse(head);
  if (parsed instanceof Refusal) throw new Error(`refused: ${parsed.reason}`);
  return parsed;
}

describe('a head that could be read in two ways is refused', () => {
  test.each<[string, number, string]>([
    ['no Host', 400, 'GET / HTTP/1.1'],
    ['no Host in HTTP/1.0', 400, 'GET / HTTP/1.0'],
    ['two Hosts', 400, get('Host: b.example.test')],
    ['the same Host twice', 400, get(host)],
    ['an empty Host', 400, withHost('')],
    ['a list as Host', 400, withHost('a.example.test, b.example.test')],
    ['a user in Host', 400, withHost('user@a.example.test')],
    ['a path in Host', 400, withHost('a.example.test/x')],
    ['a space in Host', 400, withHost('a.example.test b')],
    ['a port that is none', 400, withHost('a.example.test:x')],
    ['an open bracket in Host', 400, withHost('[::1')],
    [
      'Content-Length and Transfer-Encoding',
      400,
      get('Content-Length: 3', 'Transfer-Encoding: chunked'),
    ],
    [
      'Transfer-Encoding and Content-Length',
      400,
      get('Transfer-Encoding: chunked', 'Content-Length: 3'),
    ],
    [
      'Transfer-Encoding twice',
      501,
      get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
    ],
    ['gzip, chunked', 501, get('Transfer-Encoding: gzip, chunked')],
    ['chunked, chunked', 501, get('Transfer-Encoding: chunked, chunked')],
    ['chunked, identity', 501, get('Transfer-Encoding: chunked, identity')],
    ['identity', 501, get('Transfer-Encoding: identity')],
    ['xchunked', 501, get('Transfer-Encoding: xchunked')],
    ['chunked with a vertical tab', 400, get('Transfer-Encoding: \u000bchunked')],
    ['chunked with a parameter', 501, get('Transfer-Encoding: chunked;a=b')],
    ['an empty Transfer-Encoding', 501, get('Transfer-Encoding:')],
    [
      'Transfer-Encoding in HTTP/1.0',
      400,
      `POST / HTTP/1.0\r\n${host}\r\nTransfer-Encoding: chunked`,
    ],
    ['a folded line', 400, get('A: b', ' c')],
    ['a line folded with a tab', 400, get('A: b', '\tc')],
    ['a folded line before all fields', 400, `GET / HTTP/1.1\r\n ${host}`],
    ['a bare LF', 400, get('A: b\nContent-Length: 3')],
    ['a bare CR', 400, get('A: b\rContent-Length: 3')],
    ['a CR at the very end', 400, get('A: b\r')],
    ['a bare LF behind the request line', 400, `GET / HTTP/1.1\n${host}`],
    ['NUL in a value', 400, get('A: b\u0000')],
    ['NUL in a name', 400, get('A\u0000: b')],
    ['DEL in a value', 400, get('A: \u007f')],
    ['a space before the colon', 400, get('Transfer-Encoding : chunked')],
    ['a tab before the colon', 400, get('Content-Length\t: 3')],
    ['a line without a colon', 400, get('Content-Length 3')],
    ['a nameless field', 400, get(': 3')],
    ['a name with a character no token has', 400, get('Content(Length: 3')],
    ['a name outside ASCII', 400, get('Content-Length\u00e9: 3')],
  ])('%s: %i', (_name, status, head) => {
    expect(parse(head)).toMatchObject({ status });
    expect(parse(head)).toBeInstanceOf(Refusal);
  });

  test.each([
    '+3',
    '-1',
    '0x3',
    '3, 3',
    '3,3',
    '03',
    '00',
    '3 3',
    '3.0',
    '1e3',
    '',
    '3;',
    '\u00b3',
    '1_0',
    '9007199254740992',
    '9999999999999999',
    '18446744073709551616',
    '99999999999999999999999',
  ])('Content-Length %j: 400', (value) => {
    expect(parse(get(`Content-Length: ${value}`))).toMatchObject({
      status: 400,
    });
  });

  test('Content-Length twice, even when both agree: 400', () => {
    const head = get('Content-Length: 3', 'Content-Length: 3');
    expect(parse(head)).toMatchObject({ status: 400 });
  });
});

describe('a request line that is not one of RFC 9112 is refused', () => {
  test.each<[string, number]>([
    ['', 400],
    ['GET', 400],
    ['GET /', 400],
    ['GET  / HTTP/1.1', 400],
    ['GET / HTTP/1.1 ', 400],
    [' GET / HTTP/1.1', 400],
    ['GET\t/\tHTTP/1.1', 400],
    ['GET /a b HTTP/1.1', 400],
    ['G(T / HTTP/1.1', 400],
    ['GET / http/1.1', 400],
    ['GET / HTTP/1', 400],
    ['GET / HTTP/1.10', 400],
    ['GET / HTTP/2.0', 505],
    ['GET / HTTP/1.2', 505],
    ['GET / HTTP/0.9', 505],
    ['CONNECT a.example.test:443 HTTP/1.1', 405],
    ['TRACE / HTTP/1.1', 405],
    ['GET * HTTP/1.1', 400],
    ['GET a.example.test HTTP/1.1', 400],
    ['GET ftp://a.example.test/ HTTP/1.1', 400],
    ['GET http:///x HTTP/1.1', 400],
    ['GET /#fragment HTTP/1.1', 400],
    ['GET /a\u007f HTTP/1.1', 400],
    ['GET /\u00e9 HTTP/1.1', 400],
    ['GET /a\\b HTTP/1.1', 400],
    ['GET http://b.example.test/ HTTP/1.1', 400],
    ['GET https://a.example.test:444/ HTTP/1.1', 400],
    ['GET https://user@a.example.test/ HTTP/1.1', 400],
    [`GET /${'a'.repeat(limits.targetBytesMax)} HTTP/1.1`, 414],
  ])('%.60j: %i', (start, status) => {
    expect(parse(line(start))).toMatchObject({ status });
  });

  test('one header more than allowed: 431', () => {
    const fields = Array.from({ length: limits.headersMax }, (_, index) => `A${index}: b`);
    expect(parse(get(...fields))).toMatchObject({ status: 431 });
    expect(parse(get(...fields.slice(1)))).not.toBeInstanceOf(Refusal);
  });
});

describe('what a request says is kept', () => {
  test.each([
    ['GET /a/../b?c=%2e&d={} HTTP/1.1', '/a/../b?c=%2e&d={}'],
    ['GET //double HTTP/1.1', '//double'],
    ['OPTIONS * HTTP/1.1', '*'],
    ['GET https://A.example.test/x?y HTTP/1.1', '/x?y'],
    ['GET http://a.example.test HTTP/1.1', '/'],
    ['GET http://a.example.test?q HTTP/1.1', '/?q'],
    [
      `GET /${'a'.repeat(limits.targetBytesMax - 1)} HTTP/1.1`,
      `/${'a'.repeat(limits.targetBytesMax - 1)}`,
    ],
  ])('the target of %.50j', (start, target) => {
    expect(accepted(line(start)).target).toBe(target);
  });

  test.each([
    ['A.Example.TEST', 'a.example.test'],
    ['a.example.test:8443', 'a.example.test'],
    ['a.example.test.', 'a.example.test'],
    ['127.0.0.1:80', '127.0.0.1'],
    ['[::1]:80', '[::1]'],
  ])('Host %s is %s, and goes on as it was written', (written, name) => {
    expect(accepted(withHost(written))).toMatchObject({ host: name, authority: written });
  });

  test('end-to-end fields go on verbatim and in order, repeated ones too', () => {
    const kept =
      'cOOkie:  a=b ;c\r\nX-Thing: 1\r\nX-Thing:2\r\nX-Empty:\r\nAccept: */*\r\nX-High: \u00ff\r\n';
    expect(accepted(get(...kept.trimEnd().split('\r\n'))).fields).toBe(kept);
  });

  test.each([
    'Keep-Alive: timeout=5',
    'Proxy-Connection: close',
    'Proxy-Authorization: x',
    'TE: trailers',
    'Upgrade: h2c',
    'X-Forwarded-For: 1.2.3.4',
    'x-forwarded-anything: x',
    'Forwarded: for=1.2.3.4',
    'X-Real-IP: 1.2.3.4',
    'X_Forwarded_For: 1.2.3.4',
    'X_Custom: 1',
    'X-Request-Id: abc',
    'Content-Length: 3',
    'Connection: x-other',
  ])('%s is not passed on', (field) => {
    expect(accepted(get('A: b', field, 'C: d')).fields).toBe('A: b\r\nC: d\r\n');
  });

  test('fields that Connection names are not passed on, wherever they stand', () => {
    const head = get('X-Before: 1', 'Connection: x-before, X-AFTER', 'X-After: 1', 'X-Kept: 1');
    expect(accepted(head).fields).toBe('X-Kept: 1\r\n');
  });

  test('Connection cannot take the Host or the length away', () => {
    const head = get('Connection: host, content-length', 'Content-Length: 3');
    expect(accepted(head)).toMatchObject({
      authority: 'a.example.test',
      framing: 'length',
      length: 3,
    });
  });
});

describe('what follows the head', () => {
  test.each<[string, object]>([
    ['A: b', { framing: 'none', length: 0 }],
    ['Content-Length: 0', { framing: 'length', length: 0 }],
    ['Content-Length: 9007199254740991', { framing: 'length', length: 9007199254740991 }],
    ['Content-Length:\t12 ', { framing: 'length', length: 12 }],
    ['Transfer-Encoding: Chunked', { framing: 'chunked' }],
  ])('%j', (field, body) => {
    expect(accepted(get(field))).toMatchObject(body);
  });

  test.each<[string, string | undefined, boolean]>([
    ['HTTP/1.1', undefined, true],
    ['HTTP/1.1', 'close', false],
    ['HTTP/1.1', 'x, CLOSE', false],
    ['HTTP/1.0', undefined, false],
    ['HTTP/1.0', 'keep-alive', true],
  ])('%s with Connection %s keeps the connection: %s', (version, connection, keepAlive) => {
    const field = connection === undefined ? '' : `\r\nConnection: ${connection}`;
    expect(accepted(`GET / ${version}\r\n${host}${field}`).keepAlive).toBe(keepAlive);
  });

  const upgrade = 'Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket';
  test.each<[string, string, boolean]>([
    ['GET with both fields', `GET / HTTP/1.1\r\n${host}\r\n${upgrade}`, true],
    ['POST', `POST / HTTP/1.1\r\n${host}\r\n${upgrade}`, false],
    ['HTTP/1.0', `GET / HTTP/1.0\r\n${host}\r\n${upgrade}`, false],
    ['a body', get(upgrade, 'Content-Length: 3'), false],
    ['no Connection', get('Upgrade: websocket'), false],
    ['another protocol', get('Connection: upgrade', 'Upgrade: h2c'), false],
    ['a list of protocols', get('Connection: upgrade', 'Upgrade: websocket, h2c'), false],
  ])('a WebSocket upgrade, %s: %s', (_name, head, websocket) => {
    expect(accepted(head).websocket).toBe(websocket);
  });

  test.each<[string, string | undefined]>([
    ['abc-1.2_3', 'abc-1.2_3'],
    ['a'.repeat(64), 'a'.repeat(64)],
    ['a'.repeat(65), undefined],
    ['a b', undefined],
    ['<x>', undefined],
    ['', undefined],
  ])('a request id %j is taken over as %j', (written, requestId) => {
    expect(accepted(get(`X-Request-Id: ${written}`)).requestId).toBe(requestId);
  });

  test('what is accepted is kept as it came', () => {
    expect(accepted(get('Accept: text/html', 'Accept: */*')).accept).toBe('text/html,*/*');
    expect(accepted(get()).accept).toBe('');
  });
});

describe('what a connection said before', () => {
  test('is not taken for what it says now', () => {
    const last = new LastFields();
    const read = (lines: string): unknown => parseRequestHead(`${lines}\r\n`, limits, { last });
    expect(read(get('A: b'))).toMatchObject({ fields: 'A: b\r\n', framing: 'none' });
    expect(read(get('A: c'))).toMatchObject({ fields: 'A: c\r\n' });
    expect(read(get('A: c', 'Content-Length: 3'))).toMatchObject({ framing: 'length', length: 3 });
    expect(read('POST /other HTTP/1.1\r\nHost: a.example.test\r\nA: c')).toMatchObject({
      method: 'POST',
      target: '/other',
      framing: 'none',
    });
    expect(read('GET / HTTP/1.1')).toMatchObject({ status: 400 });
    expect(
      read('GET http://b.example.test/ HTTP/1.1\r\nHost: a.example.test\r\nA: c'),
    ).toMatchObject({
      status: 400,
    });
  });

  test('is taken for what it says again, word for word', () => {
    const last = new LastFields();
    const text = `${get('A: b', 'Content-Length: 3')}\r\n`;
    const read = (whole: string, end: number): unknown =>
      parseRequestHead(whole, limits, { end, last });
    const first = read(text, text.length);
    const texts = [text, `${text}\r\nabc`, text, text];
    for (const again of texts.map((each) => read(each, text.length))) {
      expect(again).toEqual(first);
      expect(again).not.toBe(first);
    }
    const shorter = text.length - 'Content-Length: 3\r\n'.length;
    expect(read(text, shorter)).toMatchObject({ framing: 'none' });
    expect(read(text.replace('GET /', 'PUT /'), text.length)).toMatchObject({ method: 'PUT' });
  });

  test('is remembered where it is short, so that idle connections cost little', () => {
    const last = new LastFields();
    const { rememberedHeadBytesMax: max } = limits;
    const lines = `${host}\r\n`;
    expect(last.read(lines, max, limits)).toBe(last.read(lines, max, limits));
    last.read(`${lines}A: b\r\n`, max + 1, limits);
    expect(last.read(lines, max + 1, limits)).not.toBe(last.read(lines, max + 1, limits));
  });
});
