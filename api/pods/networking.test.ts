import { describe, expect, test } from 'vitest';
import { parse } from '../validation.ts';
import type { WireNetwork } from './networking.ts';
import { storedNetwork, wireNetwork, zWireNetwork } from './networking.ts';

const read = (sent: object): WireNetwork => parse(zWireNetwork, 'network', sent);

test('what is sent is shown again, whatever way it is stored', () => {
  const sent = {
    protocol: 'http',
    port: 8000,
    url: 'mypod.pods.example.org',
    upstream_protocol: 'h2c',
    ip_allow_list: ['203.0.113.0/24', '2001:db8::/32', '198.51.100.7'],
    cors_allow_origins: ['https://app.example.org', 'http://localhost:5173'],
    cors_allow_methods: ['GET', 'PUT'],
    cors_allow_headers: ['Authorization'],
    cors_allow_credentials: true,
    cors_max_age: 60,
    proxy_compression_encodings: ['gzip'],
    proxy_compression_excluded_content_types: ['text/csv'],
    proxy_compression_min_response_body_bytes: 10,
  };
  const network = read(sent);
  expect(network).toMatchObject(sent);
  expect(wireNetwork(storedNetwork(network), sent.url)).toEqual(network);
});

test('what was not asked for is not stored', () => {
  expect(storedNetwork(read({ proxy_compression: false }))).toEqual({
    protocol: 'http',
    port: 5000,
  });
  const { policy } = storedNetwork(read({}));
  expect(Object.keys(policy ?? {})).toEqual(['compression']);
});

test('bytes that the gateway does not read are not said to be compressed', () => {
  for (const sent of [{ protocol: 'tcp' }, { protocol: 'http', tls: 'passthrough' }]) {
    expect(wireNetwork(storedNetwork(read(sent)), '').proxy_compression).toBe(false);
  }
});

describe('refused, with the field and the fix', () => {
  test.each<[string, object]>([
    ['ip_allow_list, 0: must be', { ip_allow_list: ['*'] }],
    ['ip_allow_list, 0: must be', { ip_allow_list: ['999.1.1.1'] }],
    ['ip_allow_list, 0: must be', { ip_allow_list: ['10.0.0.0/33'] }],
    ['ip_allow_list, 0: must be', { ip_allow_list: ['2001:db8::/129'] }],
    ['ip_allow_list, 0: must be', { ip_allow_list: ['10.0.0.0/8/8'] }],
    ['ip_allow_list, 0: must be', { ip_allow_list: ['fe80::1%eth0'] }],
    ['ip_allow_list, 0: must be', { ip_allow_list: ['::ffff:10.0.0.1'] }],
    ['ip_allow_list, 0: must be', { ip_allow_list: ['10.0.0.0/08'] }],
    ['ip_allow_list: has more than 100', { ip_allow_list: Array(101).fill('10.0.0.1') }],
    ['ip_allow_list: a local_only', { protocol: 'local_only', ip_allow_list: ['10.0.0.1'] }],
    ['tls: must be', { tls: 'off' }],
    ['tls: a local_only', { protocol: 'local_only', tls: 'passthrough' }],
    ['upstream_protocol: must be', { upstream_protocol: 'h2' }],
    ['upstream_protocol: h2c needs', { protocol: 'tcp', upstream_protocol: 'h2c' }],
    ['upstream_protocol: h2c needs', { tls: 'passthrough', upstream_protocol: 'h2c' }],
    ['alpn: needs protocol tcp', { alpn: ['mqtt'] }],
    ['alpn, 0: is reserved', { protocol: 'tcp', alpn: ['acme-tls/1'] }],
    ['cors_allow_origins, 0: must be', { cors_allow_origins: ['https://app.example.org/path'] }],
    [
      'cors_allow_origins, 0: must have at most 300',
      { cors_allow_origins: [`https://${'a'.repeat(300)}`] },
    ],
    [
      'cors_allow_methods, 0: must have at most 100',
      { cors_allow_origins: ['*'], cors_allow_methods: ['A'.repeat(101)] },
    ],
    [
      'cors_allow_headers, 0: must have at most 100',
      { cors_allow_origins: ['*'], cors_allow_headers: ['a'.repeat(101)] },
    ],
    [
      'proxy_compression_excluded_content_types, 0: must have at most 100',
      { proxy_compression_excluded_content_types: [`a/${'b'.repeat(100)}`] },
    ],
    ['cors_allow_origins: needs', { protocol: 'tcp', cors_allow_origins: ['*'] }],
    ['cors_allow_origins: is empty', { cors_allow_methods: ['GET'] }],
    ['cors_allow_credentials: needs', { cors_allow_origins: ['*'], cors_allow_credentials: true }],
    ['cors_max_age: must be', { cors_allow_origins: ['*'], cors_max_age: 101 }],
    ['proxy_compression_encodings: is empty', { proxy_compression_encodings: [] }],
    ['proxy_compression_encodings, 0: must be', { proxy_compression_encodings: ['deflate'] }],
  ])('%s', (text, sent) => {
    expect(() => read(sent)).toThrow(text);
  });
});
