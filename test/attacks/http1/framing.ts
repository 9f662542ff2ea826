import type { Attack } from './attack.ts';
import { forwarded, host, message, passed, refused, request } from './attack.ts';

const post = (fields: readonly string[], body = ''): string =>
  request('POST / HTTP/1.1', fields, body);

const inChunks = '5\r\nhello\r\n0\r\n\r\n';
const smuggled = request('GET /smuggled HTTP/1.1');
const chunked = 'Transfer-Encoding: chunked';

/** Two readings of where a body ends. */
const twoFramings: readonly Attack[] = [
  refused('CL.TE', post(['Content-Length: 13', chunked], '0\r\n\r\nSMUGGLED')),
  refused('TE.CL', post([chunked, 'Content-Length: 3'], '8\r\nSMUGGLED\r\n0\r\n\r\n')),
  refused('CL.TE with an equal length', post(['Content-Length: 15', chunked], inChunks)),
  refused('CL.TE with a length of 0', post(['Content-Length: 0', chunked], inChunks)),
  refused(
    'CL.TE with an unknown coding',
    post(['Content-Length: 5', 'Transfer-Encoding: x'], 'hello'),
  ),
  refused(
    'CL.TE in HTTP/1.0',
    request('POST / HTTP/1.0', ['Content-Length: 5', chunked], inChunks),
  ),
  refused('TE.TE', post([chunked, chunked], inChunks), 501),
  refused('TE.TE with identity', post([chunked, 'Transfer-Encoding: identity'], inChunks), 501),
  refused('TE.TE with an unknown coding', post(['Transfer-Encoding: cow', chunked], inChunks), 501),
  refused('TE.TE in other letters', post([chunked, 'transfer-encoding: x'], inChunks), 501),
  refused('a length twice', post(['Content-Length: 5', 'Content-Length: 5'], 'hello')),
  refused('two lengths', post(['Content-Length: 5', 'Content-Length: 6'], 'hello!')),
  refused(
    'two lengths in other letters',
    post(['Content-Length: 0', 'content-length: 5'], 'hello'),
  ),
  refused('a length and an empty one', post(['Content-Length: 5', 'Content-Length:'], 'hello')),
];

const lengths: readonly Attack[] = [
  '3, 3',
  '3,3',
  '3, 4',
  '3 3',
  '+3',
  '-1',
  '-0',
  '0x3',
  '0b11',
  '',
  ' ',
  '\t',
  '03',
  '00',
  '000000000000000000003',
  '3.0',
  '3e0',
  '3;',
  '3_0',
  '"3"',
  '3,',
  ',3',
  'three',
  'NaN',
  'Infinity',
  '\u00b3',
  '3\u00a0',
  '9007199254740992',
  '18446744073709551617',
  '99999999999999999999999999',
].map((value) => refused(`a length of "${value}"`, post([`Content-Length: ${value}`], 'abc')));

const codings: readonly Attack[] = [
  'chunked, identity',
  'identity, chunked',
  'chunked, chunked',
  'gzip, chunked',
  'chunked, gzip',
  'identity',
  'gzip',
  'xchunked',
  'chunkedx',
  'chunked;q=1',
  'chunked,',
  ',chunked',
  '"chunked"',
  "'chunked'",
  'chunked chunked',
  'chunked\t',
  '\tchunked',
  'chunked\u00a0',
  '\u00a0chunked',
  'chunk\u0117d',
  '',
].map((value) =>
  refused(
    `a transfer coding of "${value}"`,
    post([`Transfer-Encoding: ${latin1(value)}`], inChunks),
    501,
  ),
);

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Framing that is hidden from some parsers. */
const hidden: readonly Attack[] = [
  ['a space before the colon', 'Transfer-Encoding : chunked'],
  ['a tab before the colon', 'Transfer-Encoding\t: chunked'],
  ['a space before the name', ' Transfer-Encoding: chunked'],
  ['a folded line', 'A: b\r\n Transfer-Encoding: chunked'],
  ['a line folded with a tab', 'A: b\r\n\tTransfer-Encoding: chunked'],
  ['its value folded', 'Transfer-Encoding:\r\n chunked'],
  ['an empty folded line behind', 'Transfer-Encoding: chunked\r\n '],
  ['a bare LF before', 'A: b\nTransfer-Encoding: chunked'],
  ['a bare LF behind', 'Transfer-Encoding: chunked\nA: b'],
  ['a bare CR before', 'A: b\rTransfer-Encoding: chunked'],
  ['a bare CR behind the name', 'Transfer-Encoding\r: chunked'],
  ['two CRs', 'Transfer-Encoding: chunked\r'],
  ['NUL in the name', 'Transfer-\0Encoding: chunked'],
  ['NUL before the colon', 'Transfer-Encoding\0: chunked'],
  ['NUL behind the value', 'Transfer-Encoding: chunked\0'],
  ['a leading VT', 'Transfer-Encoding: \vchunked'],
  ['a trailing VT', 'Transfer-Encoding: chunked\v'],
  ['a form feed', 'Transfer-Encoding: \fchunked'],
  ['a backspace', 'Transfer-Encodingx\b: chunked'],
  ['DEL', 'Transfer-Encoding\u007f: chunked'],
  ['a no-break space before the colon', 'Transfer-Encoding\u00a0: chunked'],
  ['quotes', '"Transfer-Encoding": chunked'],
  ['no colon', 'Transfer-Encoding chunked'],
  ['an equals sign', 'Transfer-Encoding=chunked'],
  ['a semicolon', 'Transfer-Encoding; chunked'],
  ['a colon in front', ':Transfer-Encoding: chunked'],
  ['a length folded', 'Content-Length:\r\n 15'],
  ['a length behind a space', ' Content-Length: 15'],
  ['a length before a space', 'Content-Length : 15'],
  ['a length with VT', 'Content-Length: 15\v'],
  ['a length with NUL', 'Content-Length: 15\0'],
  ['a length behind a bare LF', 'A: b\nContent-Length: 15'],
].map(([name, line = '']) => refused(`framing with ${name}`, post([line], inChunks)));

const legal: readonly Attack[] = [
  passed(
    'a length with spaces around it',
    post(['Content-Length:   5  '], 'hello'),
    forwarded('POST / HTTP/1.1', ['Content-Length: 5'], 'hello'),
  ),
  passed(
    'a coding in other letters',
    post(['tRANSFER-eNCODING: ChUnKeD'], inChunks),
    forwarded('POST / HTTP/1.1', [chunked], inChunks),
  ),
  passed(
    'CL.0: a request in a body of known length',
    post([`Content-Length: ${smuggled.length}`], smuggled),
    forwarded('POST / HTTP/1.1', [`Content-Length: ${smuggled.length}`], smuggled),
  ),
  passed(
    '0.CL: a request in the body of a GET',
    request('GET / HTTP/1.1', [`Content-Length: ${smuggled.length}`], smuggled),
    forwarded('GET / HTTP/1.1', [`Content-Length: ${smuggled.length}`], smuggled),
  ),
  ...['HEAD', 'DELETE', 'OPTIONS', 'FROBNICATE'].map((method) =>
    passed(
      `a request in the body of a ${method}`,
      request(`${method} / HTTP/1.1`, [`Content-Length: ${smuggled.length}`], smuggled),
      forwarded(`${method} / HTTP/1.1`, [`Content-Length: ${smuggled.length}`], smuggled),
    ),
  ),
  passed(
    'TE.0: a request in a chunk',
    post([chunked], `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`),
    forwarded(
      'POST / HTTP/1.1',
      [chunked],
      `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    ),
  ),
  passed(
    'a GET in chunks',
    request('GET / HTTP/1.1', [chunked], inChunks),
    forwarded('GET / HTTP/1.1', [chunked], inChunks),
  ),
  passed(
    'a length of 0 and a further request',
    post(['Content-Length: 0'], smuggled),
    forwarded('POST / HTTP/1.1', ['Content-Length: 0']),
    forwarded('GET /smuggled HTTP/1.1'),
  ),
  passed(
    'a body and a further request',
    post(['Content-Length: 5'], `hello${smuggled}`),
    forwarded('POST / HTTP/1.1', ['Content-Length: 5'], 'hello'),
    forwarded('GET /smuggled HTTP/1.1'),
  ),
  passed(
    'chunks and a further request',
    post([chunked], inChunks + smuggled),
    forwarded('POST / HTTP/1.1', [chunked], inChunks),
    forwarded('GET /smuggled HTTP/1.1'),
  ),
  {
    ...refused('a body without framing', post([], '0\r\n\r\n')),
    answers: ['POST /', 400],
    pod: forwarded('POST / HTTP/1.1'),
  },
  {
    ...refused('an alias of Content-Length', post(['Content_Length: 6'], '\r\nhi there\r\n\r\n')),
    answers: ['POST /', 400],
    pod: forwarded('POST / HTTP/1.1'),
  },
  {
    ...refused('an alias of Transfer-Encoding', post(['Transfer_Encoding: chunked'], inChunks)),
    answers: ['POST /', 400],
    pod: forwarded('POST / HTTP/1.1'),
  },
  {
    name: 'a body shorter than its length',
    send: post(['Content-Length: 50'], 'hello'),
    answers: [],
    after: 'unfinished',
    pod: forwarded('POST / HTTP/1.1', ['Content-Length: 50'], 'hello'),
  },
  {
    name: 'chunks without the last',
    send: post([chunked], '5\r\nhello\r\n'),
    answers: [],
    after: 'unfinished',
    pod: forwarded('POST / HTTP/1.1', [chunked], '5\r\nhello\r\n'),
  },
];

const http10: readonly Attack[] = [
  refused('chunks in HTTP/1.0', request('POST / HTTP/1.0', [chunked], inChunks)),
  refused('identity in HTTP/1.0', request('POST / HTTP/1.0', ['Transfer-Encoding: identity'])),
  {
    ...passed(
      'a body in HTTP/1.0',
      message('POST / HTTP/1.0', [`Host: ${host}`, 'Content-Length: 5'], `hello${smuggled}`),
      forwarded('POST / HTTP/1.0', ['Content-Length: 5', 'Connection: close'], 'hello'),
    ),
    after: 'closed',
  },
];

export const framing = [...twoFramings, ...lengths, ...codings, ...hidden, ...legal, ...http10];
