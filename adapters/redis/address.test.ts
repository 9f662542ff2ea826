import { expect, test } from 'vitest';
import { BadRedisUrl, parseRedisUrl } from './address.ts';

const plain = { tls: false, username: undefined, password: undefined, db: 0, master: '' };

test.each([
  ['redis://cache', { ...plain, kind: 'single', hosts: [{ host: 'cache', port: 6379 }] }],
  [
    'redis://10.0.0.7:7000/3',
    { ...plain, kind: 'single', db: 3, hosts: [{ host: '10.0.0.7', port: 7000 }] },
  ],
  [
    'rediss://[::1]:7000',
    { ...plain, kind: 'single', tls: true, hosts: [{ host: '::1', port: 7000 }] },
  ],
  [
    'redis://:p%40ss%2Fword@cache',
    { ...plain, kind: 'single', password: 'p@ss/word', hosts: [{ host: 'cache', port: 6379 }] },
  ],
  [
    'rediss+sentinel://podgate:secret@s1,s2:7777,[fe80::2]/main',
    {
      kind: 'sentinel',
      tls: true,
      username: 'podgate',
      password: 'secret',
      db: 0,
      master: 'main',
      hosts: [
        { host: 's1', port: 26_379 },
        { host: 's2', port: 7777 },
        { host: 'fe80::2', port: 26_379 },
      ],
    },
  ],
  [
    'redis+sentinel://:secret@s1/main?sentinel_username=watch&sentinel_password=p%26ss+1',
    {
      ...plain,
      kind: 'sentinel',
      password: 'secret',
      master: 'main',
      hosts: [{ host: 's1', port: 26_379 }],
      sentinelUsername: 'watch',
      sentinelPassword: 'p&ss+1',
    },
  ],
  [
    'redis+cluster://c1,c2:7001/',
    {
      ...plain,
      kind: 'cluster',
      hosts: [
        { host: 'c1', port: 6379 },
        { host: 'c2', port: 7001 },
      ],
    },
  ],
])('%s is understood', (url, address) => {
  expect(parseRedisUrl(url)).toEqual(address);
});

test.each([
  ['http://cache', 'redis://host'],
  ['cache:6379', 'redis://host'],
  ['redis://', 'redis://host'],
  ['redis://cache/0?tls=true', 'redis://host'],
  ['redis://one,two', 'redis+sentinel'],
  ['redis://cache/main', 'number of a database'],
  ['redis://cache:0', 'cache:0'],
  ['redis://cache:70000', 'cache:70000'],
  ['redis+sentinel://s1,s2', 'name of the master'],
  ['redis+sentinel://s1/main?sentinel_pasword=x', 'only sentinel_username and sentinel_password'],
  ['redis+sentinel://s1/main?sentinel_password', 'with values'],
  ['redis+cluster://c1?sentinel_password=x', 'only Sentinels'],
  ['redis+cluster://c1/1', 'only one'],
  ['redis://:100%@cache', '%'],
])('%s is refused with a word on what is wrong', (url, word) => {
  expect(() => parseRedisUrl(url)).toThrow(BadRedisUrl);
  expect(() => parseRedisUrl(url)).toThrow(word);
});

test('what is wrong is said without the password', () => {
  for (const url of [
    'redis://:hunter2@one,two',
    'redis://u:hunter2@cache:0',
    'redis://:hunter2@',
  ]) {
    expect(() => parseRedisUrl(url)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    );
  }
});
