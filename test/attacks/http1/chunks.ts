import type { Attack } from './attack.ts';
import { forwarded, passed, request } from './attack.ts';

const chunked = 'Transfer-Encoding: chunked';
const post = (body: string): string => request('POST / HTTP/1.1', [chunked], body);
const victim = request('GET /victim HTTP/1.1');
const pod = forwarded('POST / HTTP/1.1', [chunked]);

/** The head is on its way by then; of the body the pod gets nothing, and no end. */
const malformed = (name: string, body: string): Attack => ({
  name: `chunks with ${name}`,
  send: post(body) + victim,
  answers: [400],
  after: 'closed',
  pod,
});

const sizes: readonly Attack[] = [
  '0x5',
  'x5',
  '5h',
  '5_0',
  '_5',
  ' 5',
  '5 ',
  '\t5',
  '5\t',
  '+5',
  '-5',
  '',
  ' ',
  '5.',
  '5,',
  '"5"',
  '5\0',
  '\v5',
  '5\u007f',
  '\u00b5',
  'five',
  'g',
  'fffffffffffffffa', // -6 as a signed number of 64 bits
  '20000000000000', // 2^53
  '10000000000000005', // 5 where 64 bits overflow
  '100000005'.padStart(17, '0'),
  '00000000000000005',
].map((size) => malformed(`a size of "${size}"`, `${size}\r\nhello\r\n0\r\n\r\n`));

const extensions: readonly Attack[] = [
  '5;',
  '5;a',
  '5;a=b',
  '5; a="b"',
  '5 ;a',
  '5;a="\r\n"',
  '5;\n',
  '5;a\nb',
  `5;${'a'.repeat(5_000)}`,
].map((line) => malformed(`the extension "${line.slice(0, 20)}"`, `${line}\r\nhello\r\n0\r\n\r\n`));

const ends: readonly Attack[] = [
  malformed('a bare LF behind the size', '5\nhello\r\n0\r\n\r\n'),
  malformed('a bare CR behind the size', '5\rhello\r\n0\r\n\r\n'),
  malformed('two CRs behind the size', '5\r\r\nhello\r\n0\r\n\r\n'),
  malformed('a CR and another character', '5\rX\r\nhello\r\n0\r\n\r\n'),
  malformed('a bare LF behind the content', '5\r\nhello\n0\r\n\r\n'),
  malformed('a bare CR behind the content', '5\r\nhello\r0\r\n\r\n'),
  malformed('nothing behind the content', '5\r\nhello0\r\n\r\n'),
  malformed('more content than its size', '5\r\nhelloXX\r\n0\r\n\r\n'),
  malformed('less content than its size', '6\r\nhello\r\n0\r\n\r\n'),
  malformed('LFCR behind the content', '5\r\nhello\n\r0\r\n\r\n'),
  malformed('a bare LF behind the last size', '5\r\nhello\r\n0\n\r\n'),
  malformed('a bare LF at the end', '5\r\nhello\r\n0\r\n\n'),
  malformed('a bare CR at the end', '5\r\nhello\r\n0\r\n\rX'),
  malformed('an empty line in front', '\r\n5\r\nhello\r\n0\r\n\r\n'),
  malformed('an extension of the last', '5\r\nhello\r\n0;a=b\r\n\r\n'),
  malformed('a request in place of a size', victim),
];

const trailers: readonly Attack[] = [
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Host: evil.test',
  'X-Forwarded-For: 6.6.6.6',
  'X-Forwarded-Anything: 1',
  'Forwarded: for=6.6.6.6',
  'X-Real-IP: 6.6.6.6',
  'Connection: close',
  'Keep-Alive: 5',
  'TE: trailers',
  'Upgrade: websocket',
  'Authorization: Bearer stolen',
  'Proxy-Authorization: Basic eA==',
  'Cookie: a=b',
  'Set-Cookie: a=b',
  'Content-Type: text/html',
  'Content-Encoding: gzip',
  'Content-Range: bytes 0-1/2',
  'X_Forwarded_For: 6.6.6.6',
  'Content_Length: 5',
  'Content-Length : 5',
  ' A: b',
  'A: b\r\n c',
  'A: b\nC: d',
  'A: b\rC: d',
  'A: \0',
  'A: \u0001',
  'A',
  ': b',
  'A b: c',
  `A: ${'b'.repeat(9_000)}`,
].map((line) =>
  malformed(`the trailer "${line.slice(0, 30)}"`, `5\r\nhello\r\n0\r\n${line}\r\n\r\n`),
);

const legal: readonly Attack[] = [
  ['zeros in front of the size', '0005\r\nhello\r\n000\r\n\r\n'],
  ['sizes in both cases', 'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n'],
  ['a trailer', '5\r\nhello\r\n0\r\nX-Checksum: 1\r\nServer-Timing: a\r\n\r\n'],
  ['no content', '0\r\n\r\n'],
].map(([name, body = '']) =>
  passed(`chunks with ${name}`, post(body), forwarded('POST / HTTP/1.1', [chunked], body)),
);

export const chunks = [...sizes, ...extensions, ...ends, ...trailers, ...legal];
