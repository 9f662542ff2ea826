import { describe, expect, test } from 'vitest';
import { Refusal } from '../http1/fields.ts';
import { limits } from '../limits.ts';
import { requestHead } from './request.ts';

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

describe('refused', () => {
  test.each<[string, number, readonly string[]]>([
    ['CR LF in a value', 400, [...pseudo, 'x', 'a\r\nContent-Length: 5']],
    ['LF in a value', 400, [...pseudo, 'x', 'a\nb']],
    ['CR in a value', 400, [...pseudo, 'x', 'a\rb']],
    ['NUL in a value', 400, [...pseudo, 'x', 'a\0b']],
    ['a control character in a value', 400, [...pseudo, 'x', 'a\u0001b']],
    ['a space before a value', 400, [...pseudo, 'x', ' a']],
    ['a tab behind a value', 400, [...pseudo, 'x', 'a\t']],
    ['CR LF in a name', 400, [...pseudo, 'x\r\ny', 'a']],
    ['a colon in a name', 400, [...pseudo, 'x:y', 'a']],
    ['a space in a name', 400, [...pseudo, 'x ', 'a']],
    ['an empty name', 400, [...pseudo, '', 'a']],
    ['upper case in a name', 400, [...pseudo, 'X-Up', 'a']],
    ['connection', 400, [...pseudo, 'connection', 'x-forwarded-for']],
    ['transfer-encoding', 400, [...pseudo, 'transfer-encoding', 'chunked']],
    ['upgrade', 400, [...pseudo, 'upgrade', 'websocket']],
    ['keep-alive', 400, [...pseudo, 'keep-alive', '5']],
    ['proxy-connection', 400, [...pseudo, 'proxy-connection', 'close']],
    ['te that is not trailers', 400, [...pseudo, 'te', 'chunked']],
    ['two Hosts', 400, [...pseudo, 'host', 'a.test', 'host', 'a.test']],
    ['another Host', 400, [...pseudo, 'host', 'b.test']],
    ['two lengths', 400, [...pseudo, 'content-length', '1', 'content-length', '1']],
    ['a length that is none', 400, [...pseudo, 'content-length', '+1']],
    ['a path that would be a second request', 400, withPath('/ HTTP/1.1\r\nHost: b\r\n\r\n')],
    ['a path with a space', 400, withPath('/ HTTP/1.1')],
    ['a path that is a URL', 400, withPath('http://b.test/')],
    ['an empty path', 400, withPath('')],
    ['no path', 400, pseudo.slice(0, 6)],
    ['no authority', 400, [...pseudo.slice(0, 4), ...pseudo.slice(6)]],
    ['an authority with userinfo', 400, withAuthority('x@a.test')],
    ['an authority of two', 400, withAuthority('a.test,b.test')],
    ['an authority with CR LF', 400, withAuthority('a.test\r\nx: y')],
    ['an unknown scheme', 400, [':method', 'GET', ':scheme', 'ftp', ...pseudo.slice(4)]],
    ['a method with a space', 400, [':method', 'GET /', ...pseudo.slice(2)]],
    ['a pseudo-field twice', 400, [...pseudo, ':path', '/']],
    ['an unknown pseudo-field', 400, [...pseudo, ':proxy', '/']],
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
