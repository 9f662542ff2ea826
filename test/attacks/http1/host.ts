import type { Attack } from './attack.ts';
import { forwarded, host, message, passed, refused, request } from './attack.ts';

const start = 'GET / HTTP/1.1';
const named = (value: string): string => message(start, [`Host: ${value}`]);

const missing: readonly Attack[] = [
  refused('no Host', message(start, ['A: b'])),
  refused('no field at all', message(start, [])),
  refused('no Host in HTTP/1.0', message('GET / HTTP/1.0', ['A: b'])),
  refused('an empty Host', message(start, ['Host:'])),
  refused('a Host of spaces', message(start, ['Host:   '])),
  refused('an empty Host in HTTP/1.0', message('GET / HTTP/1.0', ['Host:'])),
  refused('only an alias of Host', message(start, [`Host_: ${host}`])),
];

const twice: readonly Attack[] = [
  refused('Host twice', request(start, [`Host: ${host}`])),
  refused('two Hosts', request(start, ['Host: evil.test'])),
  refused('two Hosts, ours last', message(start, ['Host: evil.test', `Host: ${host}`])),
  refused('two Hosts in other letters', request(start, ['hOST: evil.test'])),
  refused('a second Host that is empty', request(start, ['Host:'])),
  refused('two Hosts in HTTP/1.0', request('GET / HTTP/1.0', ['Host: evil.test'])),
  refused('a second Host behind a space', request(start, [' Host: evil.test'])),
  refused('a second Host before a space', request(start, ['Host : evil.test'])),
  refused('a second Host behind a bare LF', request(start, ['A: b\nHost: evil.test'])),
];

const malformed: readonly Attack[] = [
  `${host},evil.test`,
  `${host}, evil.test`,
  `evil@${host}`,
  `${host}@evil.test`,
  `${host}/`,
  `${host}/../`,
  `${host}\\evil.test`,
  `${host}?`,
  `${host}#`,
  `${host}%00`,
  `${host};`,
  `${host} evil.test`,
  `${host}\tevil.test`,
  `${host}\0`,
  `${host}\u00a0`,
  `${host}:`,
  `${host}:port`,
  `${host}:+443`,
  `${host}:443:443`,
  `${host}:123456`,
  `${host}..`,
  `.${host}`,
  `-${host}`,
  `https://${host}`,
  `"${host}"`,
  `<${host}>`,
  `${host}'--`,
  `\u00e4.pods.example.test`,
  '[::1',
  '[::1]x',
  '[evil.test]',
  '::1',
  '*',
].map((value) => refused(`the Host "${value}"`, named(value)));

const misdirected: readonly Attack[] = [
  'b.pods.example.test',
  'example.test',
  'evil.test',
  '127.0.0.1',
  '[::1]',
  'localhost',
].map((value) => ({
  name: `the Host ${value} on a connection for another`,
  send: named(value),
  answers: [421],
  after: 'open',
  pod: '',
}));

const legal: readonly Attack[] = [
  host.toUpperCase(),
  `${host}:443`,
  `${host}.`,
  `${host}:8443`,
].map((value) => passed(`the Host ${value}`, named(value), forwarded(start, [], '', value)));

export const hosts = [...missing, ...twice, ...malformed, ...misdirected, ...legal];
