import { describe, expect, test } from 'vitest';
import { Refusal } from '../http1/fields.ts';
import { limits } from '../limits.ts';
import { Malformed, requestHead } from './request.ts';

const pseudo = [':method', 'GET', ':scheme', 'https', ':authority', 'a.test', ':path', '/p?q=1'];
const socket = [':method', 'CONNECT', ':protocol', 'websocket', ...pseudo.slice(2)];

const read = (raw: readonly string[], ended = true) =>
  requestHead({ raw, ended, webSocketKey: 'a2V5' }, limits);

test('a request is that of HTTP/1.1', () => {
  expect(read([...pseudo, 'accept', 'text/html', 'te', 'trailers'])).toMatchObject({
    method: 'GET',
    target: '/p?q=1',
    host: 'a.test',
    authority: 'a.test',
    minor: 1,
    framing: 'none',
    accept: 'text/html',
    fields: 'accept: text/html\r\n',
  });
});

test('crumbs of a cookie are one again', () => {
  expect(read([...pseudo, 'cookie', 'a=1', 'cookie', 'b=2'])).toMatchObject({
    fields: 'cookie: a=1; b=2\r\n',
  });
});

test.each<[string, readonly string[], boolean, object]>([
  ['nothing follows', [], true, { framing: 'none' }],
  ['something follows', [], false, { framing: 'chunked' }],
  ['its length is known', ['content-length', '5'], false, { framing: 'length', length: 5 }],
])('the body when %s', (_name, fields, ended, framing) => {
  expect(read([...pseudo, ...fields], ended)).toMatchObject(framing);
});

test('Extended CONNECT is an upgrade with our key and not the client’s', () => {
  const head = read([...socket, 'sec-websocket-version', '13'], false);
  expect(head).toMatchObject({ method: 'GET', websocket: true, framing: 'none' });
  expect(head).toMatchObject({ fields: expect.stringContaining('sec-websocket-key: a2V5\r\n') });
});

describe('no request at all', () => {
  test.each<[string, readonly string[]]>([
    ['CR LF in a value', [...pseudo, 'x', 'a\r\nContent-Length: 5']],
    ['LF in a value', [...pseudo, 'x', 'a\nb']],
    ['CR in a value', [...pseudo, 'x', 'a\rb']],
    ['NUL in a value', [...pseudo, 'x', 'a\0b']],
    ['a space before a value', [...pseudo, 'x', ' a']],
    ['a tab behind a value', [...pseudo, 'x', 'a\t']],
    ['CR LF in a name', [...pseudo, 'x\r\ny', 'a']],
    ['a colon in a name', [...pseudo, 'x:y', 'a']],
    ['a space in a name', [...pseudo, 'x ', 'a']],
    ['an empty name', [...pseudo, '', 'a']],
    ['upper case in a name', [...pseudo, 'X-Up', 'a']],
    ['connection', [...pseudo, 'connection', 'x-forwarded-for']],
    ['transfer-encoding', [...pseudo, 'transfer-encoding', 'chunked']],
    ['upgrade', [...pseudo, 'upgrade', 'websocket']],
    ['keep-alive', [...pseudo, 'keep-alive', '5']],
    ['proxy-connection', [...pseudo, 'proxy-connection', 'close']],
    ['te that is not trailers', [...pseudo, 'te', 'chunked']],
    ['two Hosts', [...pseudo, 'host', 'a.test', 'host', 'a.test']],
    ['a path that would be a second request', withPath('/ HTTP/1.1\r\nHost: b\r\n\r\n')],
    ['a path with a space', withPath('/ HTTP/1.1')],
    ['a path that is a URL', withPath('http://b.test/')],
    ['an empty path', withPath('')],
    ['no path', pseudo.slice(0, 6)],
    ['no authority', [...pseudo.slice(0, 4), ...pseudo.slice(6)]],
    ['an authority with CR LF', withAuthority('a.test\r\nx: y')],
    ['an unknown scheme', [':method', 'GET', ':scheme', 'ftp', ...pseudo.slice(4)]],
    ['a method with a space', [':method', 'GET /', ...pseudo.slice(2)]],
    ['a pseudo-field twice', [...pseudo, ':path', '/']],
    ['an unknown pseudo-field', [...pseudo, ':proxy', '/']],
    ['a pseudo-field behind a field', [...pseudo.slice(0, 6), 'accept', '*/*', ':path', '/']],
    ['a pseudo-field of answers', [...pseudo, ':status', '200']],
    ['* without OPTIONS', withPath('*')],
  ])('%s', (_name, raw) => {
    expect(read(raw)).toBeInstanceOf(Malformed);
  });
});

describe('refused', () => {
  test.each<[string, number, readonly string[]]>([
    ['a control character in a value', 400, [...pseudo, 'x', 'a\u0001b']],
    ['another Host', 400, [...pseudo, 'host', 'b.test']],
    ['two lengths', 400, [...pseudo, 'content-length', '1', 'content-length', '1']],
    ['a length that is none', 400, [...pseudo, 'content-length', '+1']],
    ['an authority with userinfo', 400, withAuthority('x@a.test')],
    ['an authority of two', 400, withAuthority('a.test,b.test')],
    ['CONNECT', 405, [':method', 'CONNECT', ':authority', 'a.test:443']],
    ['another protocol', 501, [':method', 'CONNECT', ':protocol', 'tcp', ...pseudo.slice(2)]],
    ['a protocol with GET', 501, [...pseudo, ':protocol', 'websocket']],
    ['a head beyond all bounds', 431, [...pseudo, 'x', 'a'.repeat(limits.headBytesMax)]],
  ])('%s', (_name, status, raw) => {
    const head = read(raw);
    expect(head).toBeInstanceOf(Refusal);
    expect(head).toMatchObject({ status });
  });
});

function withPath(path: string): string[] {
  return [...pseudo.slice(0, 7), path];
}

function withAuthority(authority: string): string[] {
  return [...pseudo.slice(0, 5), authority, ...pseudo.slice(6)];
}
