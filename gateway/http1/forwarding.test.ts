import { describe, expect, test } from 'vitest';
import { clientOf, forwarding } from './forwarding.ts';

const peer = {
  sni: 'a.test',
  address: '203.0.113.8',
  port: 443,
  trustedProxies: ['203.0.113.0/24', '2001:db8::/64'],
  shown: undefined,
};
const stranger = { ...peer, address: '198.51.100.1' };
const request = {
  authority: 'a.test',
  forwarded: { for: '192.0.2.1', proto: 'http', host: 'front.test:8443', port: '8443' },
};

test('a stranger’s word is not passed on', () => {
  expect(forwarding(request, stranger)).toEqual({
    chain: '198.51.100.1',
    proto: 'https',
    host: 'a.test',
    port: '443',
  });
});

test('a trusted proxy’s is, and its address joins the chain', () => {
  expect(forwarding(request, peer)).toEqual({
    chain: '192.0.2.1, 203.0.113.8',
    proto: 'http',
    host: 'front.test:8443',
    port: '8443',
  });
});

test('what makes no sense is not believed of anybody', () => {
  const forwarded = { for: 'unknown', proto: 'gopher', host: 'a b', port: '80x' };
  expect(forwarding({ authority: 'a.test', forwarded }, peer)).toEqual({
    chain: '203.0.113.8',
    proto: 'https',
    host: 'a.test',
    port: '443',
  });
});

describe('who asks', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['10.0.0.1, 192.0.2.1', '192.0.2.1'],
    ['192.0.2.1, 203.0.113.9', '192.0.2.1'],
    ['192.0.2.1, 2001:db8::7, 203.0.113.9', '192.0.2.1'],
    ['203.0.113.9', '203.0.113.8'],
    ['192.0.2.1, not-an-address, 203.0.113.9', '203.0.113.8'],
    ['192.0.2.1, <script>', '203.0.113.8'],
    ['', '203.0.113.8'],
  ])('through trusted proxies with X-Forwarded-For: %s', (written, client) => {
    expect(clientOf({ forwarded: { for: written } }, peer)).toBe(client);
  });

  test('a stranger is who he is', () => {
    expect(clientOf(request, stranger)).toBe('198.51.100.1');
  });
});
