import type { Attack } from './attack.ts';
import { forwarded, passed, request } from './attack.ts';

const start = 'GET / HTTP/1.1';
const upgrade = (protocol: string): readonly string[] => [
  'Connection: Upgrade',
  `Upgrade: ${protocol}`,
];
const websocket = forwarded(start, ['Connection: Upgrade', 'Upgrade: websocket']);
const smuggled = request('GET /smuggled HTTP/1.1');

/** Everything but a bodiless WebSocket upgrade goes to the pod as the plain request it also is. */
const leftOut: readonly Attack[] = [
  ['h2c', request(start, upgrade('h2c'))],
  ['TLS/1.0', request(start, upgrade('TLS/1.0'))],
  ['connect-udp', request(start, upgrade('connect-udp'))],
  ['HTTP/2.0', request(start, upgrade('HTTP/2.0'))],
  ['websocket, h2c', request(start, upgrade('websocket, h2c'))],
  ['h2c, websocket', request(start, upgrade('h2c, websocket'))],
  ['websocket/13', request(start, upgrade('websocket/13'))],
  ['nothing', request(start, upgrade(''))],
  ['websocket without Connection', request(start, ['Upgrade: websocket'])],
  ['Connection without Upgrade', request(start, ['Connection: Upgrade'])],
].map(([name, send = '']) => passed(`an upgrade to ${name}`, send, forwarded(start)));

const more: readonly Attack[] = [
  passed(
    'h2c as its RFC has it',
    request(start, [
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
    ]),
    forwarded(start),
  ),
  passed(
    'an upgrade with a body',
    request(start, [...upgrade('websocket'), `Content-Length: ${smuggled.length}`], smuggled),
    forwarded(start, [`Content-Length: ${smuggled.length}`], smuggled),
  ),
  passed(
    'an upgrade with chunks',
    request(
      start,
      [...upgrade('websocket'), 'Transfer-Encoding: chunked'],
      `5\r\nhello\r\n0\r\n\r\n${smuggled}`,
    ),
    forwarded(start, ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'),
    forwarded('GET /smuggled HTTP/1.1'),
  ),
  passed(
    'an upgrade by POST',
    request('POST / HTTP/1.1', upgrade('websocket')),
    forwarded('POST / HTTP/1.1'),
  ),
  passed(
    'an upgrade that the pod declines, with a request sent early',
    request(start, upgrade('websocket')) + smuggled,
    websocket,
    forwarded('GET /smuggled HTTP/1.1'),
  ),
  passed(
    'an upgrade that nominates our fields',
    request(start, ['Connection: Upgrade, X-Forwarded-For, Host', 'Upgrade: WebSocket']),
    websocket,
  ),
  {
    ...passed(
      'an upgrade in HTTP/1.0',
      request('GET / HTTP/1.0', upgrade('websocket')),
      forwarded('GET / HTTP/1.0', ['Connection: close']),
    ),
    after: 'closed',
  },
];

export const upgrades = [...leftOut, ...more];
