import { limits } from '../../../gateway/limits.ts';

/** What a pod answers to `GET /` on a connection of its own, and what its client gets of that. */
export interface BadAnswer {
  readonly name: string;
  /** One character is one byte. */
  readonly sends: string;
  /** The pod ends its connection behind that. */
  readonly ends?: boolean;
  /** All that the client gets: statuses, the last of them the gateway's own, or these bytes. */
  readonly client: readonly number[] | string;
  /** Behind those bytes the client's connection is cut, so that it does not take them for a whole answer. */
  readonly cut?: boolean;
  readonly method?: string;
}

const ok = (fields: readonly string[], body = ''): string =>
  answer('HTTP/1.1 200 OK', fields, body);

function answer(start: string, fields: readonly string[], body = ''): string {
  return `${[start, ...fields].join('\r\n')}\r\n\r\n${body}`;
}

const inChunks = '5\r\nhello\r\n0\r\n\r\n';
const chunked = 'Transfer-Encoding: chunked';
const stolen = ok(['Content-Length: 6'], 'stolen');
const hello = ok(['Content-Length: 5'], 'hello');

const refused = (name: string, sends: string): BadAnswer => ({ name, sends, client: [502] });

const noAnswers: readonly BadAnswer[] = [
  { name: 'nothing', sends: '', ends: true, client: [502] },
  { name: 'half a status line', sends: 'HTTP/1.1 2', ends: true, client: [502] },
  { name: 'half a head', sends: 'HTTP/1.1 200 OK\r\nA: b\r\n', ends: true, client: [502] },
  {
    name: 'an interim answer alone',
    sends: answer('HTTP/1.1 102 P', []),
    ends: true,
    client: [102, 502],
  },
  refused('garbage', '\u0000\u00ff\u0013\u0037 garbage\r\n\r\n'),
  refused('an HTML page', '<html>hello</html>\r\n\r\n'),
  refused('a banner of SSH', 'SSH-2.0-OpenSSH_9.2p1\r\n\r\n'),
  refused('the settings of HTTP/2', `\0\0\0\u0004\0\0\0\0\0\r\n\r\n`),
  refused('too large a head', ok([`A: ${'b'.repeat(limits.headBytesMax)}`])),
  refused('a head without an end', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(10_000)}`),
  refused('an empty line in front', `\r\n${hello}`),
  refused('a request', answer('GET / HTTP/1.1', ['Host: a'])),
];

const startLines: readonly BadAnswer[] = [
  'HTTP/1.1 099 Low',
  'HTTP/1.1 999 High',
  'HTTP/1.1 600 High',
  'HTTP/1.1 000 Zero',
  'HTTP/1.1 20 Short',
  'HTTP/1.1 2000 Long',
  'HTTP/1.1 +20 Sign',
  'HTTP/1.1 2x0 Letter',
  'HTTP/1.1  200 OK',
  'HTTP/1.1\t200 OK',
  'HTTP/1.1 200\tOK',
  ' HTTP/1.1 200 OK',
  'HTTP/1.1',
  'HTTP/2.0 200 OK',
  'HTTP/2 200 OK',
  'HTTP/1.2 200 OK',
  'HTTP/0.9 200 OK',
  'http/1.1 200 OK',
  'ICY 200 OK',
  'HTTP/1.1 200 O\0K',
  'HTTP/1.1 200 O\rK',
  'HTTP/1.1 200 O\nK',
  'HTTP/1.1 200 OK\u001b',
].map((start) =>
  refused(`the status line "${start}"`, answer(start, ['Content-Length: 5'], 'hello')),
);

const switches: readonly BadAnswer[] = [
  refused('101 that nobody asked for', answer('HTTP/1.1 101 Switching', ['Upgrade: websocket'])),
  refused(
    '101 with a whole answer behind it',
    answer('HTTP/1.1 101 Switching', ['Connection: Upgrade', 'Upgrade: websocket'], stolen),
  ),
  refused('101 to h2c', answer('HTTP/1.1 101 Switching', ['Upgrade: h2c'])),
  {
    name: 'an interim answer too many',
    sends: answer('HTTP/1.1 100 Continue', []).repeat(limits.informationalMax + 1) + hello,
    client: [...Array.from({ length: limits.informationalMax }, () => 100), 502],
  },
];

const framings: readonly BadAnswer[] = [
  [`Content-Length: 5`, chunked],
  [chunked, `Content-Length: 5`],
  ['Content-Length: 5', 'Content-Length: 5'],
  ['Content-Length: 5', 'Content-Length: 6'],
  ['Content-Length: 5', 'Content-Length:'],
  ['Content-Length: 5, 5'],
  ['Content-Length: +5'],
  ['Content-Length: -5'],
  ['Content-Length: 0x5'],
  ['Content-Length: 05'],
  ['Content-Length:'],
  ['Content-Length: 5.0'],
  ['Content-Length: 99999999999999999999'],
  ['Content-Length : 5'],
  [' Content-Length: 5'],
  ['A: b\r\n Content-Length: 5'],
  ['A: b\nContent-Length: 5'],
  ['A: b\rContent-Length: 5'],
  ['Content-Length: 5\0'],
  [chunked, chunked],
  ['Transfer-Encoding: chunked\t'],
  ['Transfer-Encoding:\tchunked'],
  ['Transfer-Encoding: \vchunked'],
  ['Transfer-Encoding: chunked, identity'],
  ['Transfer-Encoding: gzip, chunked'],
  ['Transfer-Encoding: gzip'],
  ['Transfer-Encoding: identity'],
  ['Transfer-Encoding: xchunked'],
  ['Transfer-Encoding:'],
  ['Transfer-Encoding : chunked'],
  ['Transfer-Encoding:\r\n chunked'],
].map((fields) =>
  refused(
    `framing by ${fields.join(' and ')}`,
    ok(fields, fields.some((field) => field.includes('chunk')) ? inChunks : 'hello'),
  ),
);

const lines: readonly BadAnswer[] = [
  'A',
  ': b',
  'A b: c',
  'A : b',
  'A: b\r\n c',
  'A: b\r\n\tc',
  'A: b\nSet-Cookie: a=b',
  'A: b\rSet-Cookie: a=b',
  'A: \0',
  'A\0: b',
  'A: \u0001',
  'A: \u007f',
  'A(: b',
  'A\u00e9: b',
].map((line) => refused(`the line "${line}"`, ok([line, 'Content-Length: 5'], 'hello')));

const versions: readonly BadAnswer[] = [
  refused('chunks in HTTP/1.0', answer('HTTP/1.0 200 OK', [chunked], inChunks)),
  refused('LFs for all line ends', `${hello.replaceAll('\r\n', '\n')}\r\n\r\n`),
];

/** Begun in order: what came in order stands, and nothing that follows it is anybody's. */
const bodies: readonly BadAnswer[] = [
  { name: 'more than its length', sends: `${hello}more`, client: hello },
  { name: 'two answers', sends: hello + stolen, client: hello },
  { name: 'an empty line behind its length', sends: `${hello}\r\n`, client: hello },
  {
    name: 'an answer behind its chunks',
    sends: ok([chunked], inChunks + stolen),
    client: ok([chunked], inChunks),
  },
  {
    name: 'a body behind 204',
    sends: answer('HTTP/1.1 204 No Content', [], stolen),
    client: answer('HTTP/1.1 204 No Content', []),
  },
  {
    name: 'a body behind 304',
    sends: answer('HTTP/1.1 304 Not Modified', ['Content-Length: 6'], 'stolen'),
    client: answer('HTTP/1.1 304 Not Modified', ['Content-Length: 6']),
  },
  {
    name: 'a body to HEAD',
    method: 'HEAD',
    sends: stolen,
    client: ok(['Content-Length: 6']),
  },
  {
    name: 'a length of 0 and a body',
    sends: ok(['Content-Length: 0'], stolen),
    client: ok(['Content-Length: 0']),
  },
  {
    name: 'less than its length',
    sends: ok(['Content-Length: 50'], 'hello'),
    ends: true,
    client: ok(['Content-Length: 50'], 'hello'),
    cut: true,
  },
  {
    name: 'chunks without the last',
    sends: ok([chunked], '5\r\nhello\r\n'),
    ends: true,
    client: ok([chunked], '5\r\nhello\r\n'),
    cut: true,
  },
  {
    name: 'trailers without an end',
    sends: ok([chunked], '0\r\nA: b\r\n'),
    ends: true,
    client: ok([chunked], '0\r\nA: b\r\n'),
    cut: true,
  },
];

const badChunks: readonly BadAnswer[] = [
  '0x5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\n\r\n',
  '5\nhello\r\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5\r\nhelloXX0\r\n\r\n',
  'fffffffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  'hello',
  '0\r\nContent-Length: 5\r\n\r\n',
  '0\r\nSet-Cookie: a=b\r\n\r\n',
  '0\r\nA\r\n\r\n',
  '0\r\nA: b\nC: d\r\n\r\n',
  '0\n\n',
].map((body) => refused(`the chunks "${body}"`, ok([chunked], body)));

export const badAnswers = [
  ...noAnswers,
  ...startLines,
  ...switches,
  ...framings,
  ...lines,
  ...versions,
  ...bodies,
  ...badChunks,
];
