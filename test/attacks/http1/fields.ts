import type { Attack } from './attack.ts';
import { forwarded, passed, request } from './attack.ts';

const start = 'GET / HTTP/1.1';

/** What only we say, or what is about one connection: the pod never sees the client's. */
const dropped: readonly Attack[] = [
  'X-Forwarded-For: 6.6.6.6',
  'x-forwarded-for: 6.6.6.6',
  'X-Forwarded-Proto: http',
  'X-Forwarded-Host: evil.test',
  'X-Forwarded-Port: 1',
  'X-Forwarded-Prefix: /admin',
  'X-Forwarded-Server: evil',
  'X-Forwarded-User: root',
  'X-Forwarded-Anything: 1',
  'Forwarded: for=6.6.6.6;host=evil.test',
  'X-Real-IP: 6.6.6.6',
  'X_Forwarded_For: 6.6.6.6',
  'X-Forwarded_For: 6.6.6.6',
  'X_Real_IP: 6.6.6.6',
  'X_Request_Id: 1',
  'X_Custom: 1',
  'X-Request-Id: not an id',
  `X-Request-Id: ${'a'.repeat(65)}`,
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy-Authorization: Basic eA==',
  'Proxy-Authenticate: Basic',
  'TE: trailers',
  'Upgrade: h2c',
  'Connection: keep-alive',
].map((line) => passed(`the field ${line.slice(0, 60)}`, request(start, [line]), forwarded(start)));

/** Connection can take away what the client said, never what we say. */
const nominated: readonly Attack[] = [
  'host',
  'x-forwarded-for',
  'x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port',
  'x-request-id',
  'forwarded',
  ',,,',
  '"host"',
  'Host, HOST',
].map((value) =>
  passed(`Connection: ${value}`, request(start, [`Connection: ${value}`]), forwarded(start)),
);

const more: readonly Attack[] = [
  passed(
    'Connection: content-length',
    request('POST / HTTP/1.1', ['Connection: content-length', 'Content-Length: 5'], 'hello'),
    forwarded('POST / HTTP/1.1', ['Content-Length: 5'], 'hello'),
  ),
  passed(
    'Connection: transfer-encoding',
    request(
      'POST / HTTP/1.1',
      ['Connection: Transfer-Encoding', 'Transfer-Encoding: chunked'],
      '0\r\n\r\n',
    ),
    forwarded('POST / HTTP/1.1', ['Transfer-Encoding: chunked'], '0\r\n\r\n'),
  ),
  passed(
    'Connection over two lines',
    request(start, ['A: b', 'B: c', 'C: d', 'Connection: a', 'connection: B']),
    forwarded(start, ['C: d']),
  ),
  {
    ...passed(
      'Connection: close with a nomination',
      request(start, ['A: b', 'Connection: close, a']) + request('GET /late HTTP/1.1'),
      forwarded(start),
    ),
    after: 'closed',
  },
  passed(
    'X-Forwarded-For twice and ours',
    request(start, ['X-Forwarded-For: 6.6.6.6', 'A: b', 'X-Forwarded-For: 7.7.7.7']),
    forwarded(start, ['A: b']),
  ),
  passed(
    'two request ids',
    request(start, ['X-Request-Id: a', 'X-Request-Id: b c']),
    forwarded(start),
  ),
];

export const fields = [...dropped, ...nominated, ...more];
