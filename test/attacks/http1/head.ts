import { limits } from '../../../gateway/limits.ts';
import type { Attack } from './attack.ts';
import { forwarded, host, message, passed, refused, request } from './attack.ts';

const get = (...fields: readonly string[]): string => request('GET / HTTP/1.1', fields);

const starts: readonly Attack[] = [
  ['no version', 'GET /', 400],
  ['only a method', 'GET', 400],
  ['a space in front', ' GET / HTTP/1.1', 400],
  ['no method', '/ HTTP/1.1', 400],
  ['two spaces', 'GET  / HTTP/1.1', 400],
  ['two spaces before the version', 'GET /  HTTP/1.1', 400],
  ['a space behind', 'GET / HTTP/1.1 ', 400],
  ['tabs', 'GET\t/\tHTTP/1.1', 400],
  ['a form feed', 'GET\f/ HTTP/1.1', 400],
  ['a bare CR', 'GET / HTTP/1.1\rA: b', 400],
  ['a bare LF', 'GET / HTTP/1.1\nA: b', 400],
  ['a method with a bracket', 'G(T / HTTP/1.1', 400],
  ['a method with a colon', 'GET: / HTTP/1.1', 400],
  ['a method with NUL', 'G\0T / HTTP/1.1', 400],
  ['a method in quotes', '"GET" / HTTP/1.1', 400],
  ['a method beyond ASCII', 'G\u00cbT / HTTP/1.1', 400],
  ['HTTP/2.0', 'GET / HTTP/2.0', 505],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0', 505],
  ['HTTP/1.2', 'GET / HTTP/1.2', 505],
  ['HTTP/0.9', 'GET / HTTP/0.9', 505],
  ['HTTP/3.0', 'GET / HTTP/3.0', 505],
  ['HTTP/1.10', 'GET / HTTP/1.10', 400],
  ['HTTP/01.1', 'GET / HTTP/01.1', 400],
  ['HTTP/1', 'GET / HTTP/1', 400],
  ['HTTP/1,1', 'GET / HTTP/1,1', 400],
  ['a version in small letters', 'GET / http/1.1', 400],
  ['another protocol', 'GET / RTSP/1.0', 400],
  ['a version with NUL', 'GET / HTTP/1.1\0', 400],
  ['CONNECT', `CONNECT ${host}:443 HTTP/1.1`, 405],
  ['CONNECT to another host', 'CONNECT 127.0.0.1:22 HTTP/1.1', 405],
  ['CONNECT to a path', 'CONNECT / HTTP/1.1', 405],
  ['CONNECT in HTTP/1.0', `CONNECT ${host}:443 HTTP/1.0`, 405],
  ['TRACE', 'TRACE / HTTP/1.1', 405],
  ['TRACE in HTTP/1.0', 'TRACE / HTTP/1.0', 405],
].map(([name, start, status]) =>
  refused(`a request line with ${name}`, request(`${start}`), Number(status)),
);

const lines: readonly Attack[] = [
  ['without a colon', 'A'],
  ['without a name', ': b'],
  ['with a space in its name', 'A b: c'],
  ['with a space before the colon', 'A : b'],
  ['with a tab before the colon', 'A\t: b'],
  ['that starts with a space', ' A: b'],
  ['that is folded', 'A: b\r\n c'],
  ['that is folded with a tab', 'A: b\r\n\tc'],
  ['of a space', ' '],
  ['with a bare LF', 'A: b\nC: d'],
  ['with a bare CR', 'A: b\rC: d'],
  ['with two CRs', 'A: b\r'],
  ['with LFCR', 'A: b\n\rC: d'],
  ['with NUL in its name', 'A\0: b'],
  ['with NUL in its value', 'A: b\0c'],
  ['with a control character', 'A: b\u0001'],
  ['with ESC', 'A: \u001b[31m'],
  ['with a backspace', 'A: b\b'],
  ['with DEL', 'A: b\u007f'],
  ['with a bracket in its name', 'A[]: b'],
  ['with a slash in its name', 'A/B: c'],
  ['with quotes in its name', '"A": b'],
  ['with an at sign in its name', 'A@B: c'],
  ['with a comma in its name', 'A,B: c'],
  ['with a name beyond ASCII', 'A\u00e9: b'],
  ['with a semicolon for a colon', 'A; b'],
].map(([name, line = '']) => refused(`a line ${name}`, get(line)));

const sizes: readonly Attack[] = [
  refused('too large a head', get(`A: ${'b'.repeat(limits.headBytesMax)}`), 431),
  refused('a large head that does not end', `GET / HTTP/1.1\r\nA: ${'b'.repeat(40_000)}`, 431),
  refused('no line end at all', 'A'.repeat(limits.headBytesMax + 1), 431),
  refused('too many fields', get(...Array.from({ length: limits.headersMax }, () => 'A: b')), 431),
  refused('too long a target', request(`GET /${'a'.repeat(limits.targetBytesMax)} HTTP/1.1`), 414),
  refused('too long a method', request(`${'A'.repeat(limits.headBytesMax)} / HTTP/1.1`), 431),
  passed(
    'as many fields as may be',
    get(...Array.from({ length: limits.headersMax - 1 }, () => 'A: b')),
    forwarded(
      'GET / HTTP/1.1',
      Array.from({ length: limits.headersMax - 1 }, () => 'A: b'),
    ),
  ),
  passed(
    'as long a target as may be',
    request(`GET /${'a'.repeat(limits.targetBytesMax - 1)} HTTP/1.1`),
    forwarded(`GET /${'a'.repeat(limits.targetBytesMax - 1)} HTTP/1.1`),
  ),
];

const emptyLines: readonly Attack[] = [
  passed('empty lines in front', `\r\n\r\n${get()}`, forwarded('GET / HTTP/1.1')),
  refused('an LF in front', `\n${get()}`),
  refused('a CR in front', `\r${get()}`),
  refused('LFs for all line ends', get().replaceAll('\r\n', '\n')),
  refused('CRs for all line ends', get().replaceAll('\r\n', '\r')),
  refused('NUL in front', `\0${get()}`),
  refused('an empty line with a space', ` \r\n${get()}`),
  {
    name: 'LFs for all line ends and nothing else',
    send: get().replaceAll('\r\n', '\n'),
    answers: [],
    after: 'unfinished',
    pod: '',
  },
  {
    name: 'a head that is not finished',
    send: `GET / HTTP/1.1\r\nHost: ${host}\r\n`,
    answers: [],
    after: 'unfinished',
    pod: '',
  },
];

const legal: readonly Attack[] = [
  ...['get', 'QUERY', 'PROPFIND', "!#$%&'*+-.^_`|~09"].map((method) =>
    passed(
      `the method ${method}`,
      request(`${method} / HTTP/1.1`),
      forwarded(`${method} / HTTP/1.1`),
    ),
  ),
  passed(
    'values beyond ASCII',
    get('A: caf\u00c3\u00a9', 'B: \u00ff'),
    forwarded('GET / HTTP/1.1', ['A: caf\u00c3\u00a9', 'B: \u00ff']),
  ),
  passed('a tab in a value', get('A: b\tc'), forwarded('GET / HTTP/1.1', ['A: b\tc'])),
  passed('an empty value', get('A:', 'B: '), forwarded('GET / HTTP/1.1', ['A:', 'B: '])),
  passed(
    'what looks like a request in a value',
    get('A: GET /smuggled HTTP/1.1'),
    forwarded('GET / HTTP/1.1', ['A: GET /smuggled HTTP/1.1']),
  ),
  {
    ...passed(
      'HTTP/1.0',
      message('GET / HTTP/1.0', [`Host: ${host}`]) + get(),
      forwarded('GET / HTTP/1.0', ['Connection: close']),
    ),
    after: 'closed',
  },
];

export const head = [...starts, ...lines, ...sizes, ...emptyLines, ...legal];
