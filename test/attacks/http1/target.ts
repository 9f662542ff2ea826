import type { Attack } from './attack.ts';
import { forwarded, host, message, passed, refused, request } from './attack.ts';

const bad: readonly Attack[] = [
  ['a fragment', '/#a'],
  ['a fragment alone', '#'],
  ['a backslash', '/\\'],
  ['a backslash in front', '\\evil.test/'],
  ['NUL', '/\0'],
  ['a tab', '/a\tb'],
  ['a space', '/a b'],
  ['a bare CR', '/a\rb'],
  ['a bare LF', '/a\nb'],
  ['DEL', '/\u007f'],
  ['a control character', '/\u0001'],
  ['raw UTF-8', '/caf\u00c3\u00a9'],
  ['a no-break space', '/\u00a0'],
  ['no slash', 'index.html'],
  ['a query alone', '?a=b'],
  ['a star behind it', '/* HTTP/1.1\r\nX: y\0'],
  ['a star for GET', '*'],
  ['two stars', '**'],
  ['an authority for GET', `${host}:443`],
  ['another scheme', `ftp://${host}/`],
  ['a scheme without authority', 'http:///'],
  ['a scheme without slashes', 'http:/admin'],
  ['a script', 'javascript:alert(1)'],
  ['another host', 'http://evil.test/'],
  ['another pod', 'https://b.pods.example.test/'],
  ['another port', `https://${host}:8443/`],
  ['a user', `https://evil@${host}/`],
  ['a user that looks like the host', `https://${host}@evil.test/`],
  ['a host with a comma', `https://${host},evil.test/`],
  ['a host with a fragment', `https://${host}#@evil.test/`],
].map(([name, target]) => refused(`a target with ${name}`, request(`GET ${target} HTTP/1.1`)));

/** Paths are the pod's business: not a byte is changed. */
const untouched: readonly Attack[] = [
  '//evil.test/',
  '/../../etc/passwd',
  '/%2e%2e/%2f%5c',
  '/%00',
  '/%0d%0aX:%20y',
  '/a%20HTTP/1.1%0d%0aHost:evil.test',
  '/%zz',
  '/a;b=c',
  '/?a=http://evil.test/#'.slice(0, -1),
  '/!$&\'()*+,;=:@[]{}|^`"<>~',
].map((target) =>
  passed(
    `the target ${target}`,
    request(`GET ${target} HTTP/1.1`),
    forwarded(`GET ${target} HTTP/1.1`),
  ),
);

const absolute: readonly Attack[] = [
  [`http://${host}/a?b`, '/a?b'],
  [`https://${host}/a`, '/a'],
  [`HTTPS://${host.toUpperCase()}/a`, '/a'],
  [`http://${host}`, '/'],
  [`http://${host}?a`, '/?a'],
  [`http://${host}//evil.test/`, '//evil.test/'],
].map(([written, target]) =>
  passed(
    `the absolute form ${written}`,
    request(`GET ${written} HTTP/1.1`),
    forwarded(`GET ${target} HTTP/1.1`),
  ),
);

const stars: readonly Attack[] = [
  passed('OPTIONS *', request('OPTIONS * HTTP/1.1'), forwarded('OPTIONS * HTTP/1.1')),
  refused('a star for options in small letters', request('options * HTTP/1.1')),
  refused('the absolute form without Host', message(`GET http://${host}/ HTTP/1.1`, ['A: b'])),
];

export const target = [...bad, ...untouched, ...absolute, ...stars];
