import { expect, test } from 'vitest';
import { BadNatsUrl, parseNatsUrl } from './address.ts';

test.each([
  ['nats://localhost', { servers: ['localhost:4222'], tls: false }],
  ['nats://a:1,b,[::1]:7/', { servers: ['a:1', 'b:4222', '[::1]:7'], tls: false }],
  [
    'tls://me:p%40ss@a.example.org:4443',
    { servers: ['a.example.org:4443'], tls: true, username: 'me', password: 'p@ss' },
  ],
  ['nats://token@a', { username: 'token', password: undefined }],
])('%s', (url, address) => {
  expect(parseNatsUrl(url)).toMatchObject(address);
});

test.each([
  ['redis://a', /must look like/],
  ['nats://', /must look like/],
  ['nats://a/b', /must look like/],
  ['nats://a:0', /a host that cannot be: "a:0"/],
  ['nats://a:99999', /a host that cannot be/],
  ['nats://u:%zz@a', /hexadecimal/],
])('%s is refused', (url, message) => {
  expect(() => parseNatsUrl(url)).toThrow(BadNatsUrl);
  expect(() => parseNatsUrl(url)).toThrow(message);
});

test('a password is never repeated', () => {
  expect(() => parseNatsUrl('nats://u:geheim@a:0')).toThrow(/^(?!.*geheim)/);
});
