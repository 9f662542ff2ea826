import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { proxyHeader } from './proxy-header.ts';

const bounds = { proxyHeaderBytesMax: 4_096 };
const signature = '0d0a0d0a000d0a515549540a';

/** A header of version 2: command and family, then as many bytes as it says. */
function version2(start: string, body: string, length = body.length / 2): Buffer {
  return Buffer.from(`${signature}${start}${length.toString(16).padStart(4, '0')}${body}`, 'hex');
}

const ports = '30391fbb'; // 12345, 8123
const v4 = `c0000209cb007101${ports}`; // 192.0.2.9 to 203.0.113.1
const v6 = `20010db800000000000000000000000920010db8000000000000000000000001${ports}`;
const tlv = '0300041234abcd04000400000000';

const good: [string, Buffer, string | undefined][] = [
  ['1, IPv4', Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 12345 443\r\n'), '192.0.2.9'],
  ['1, IPv6', Buffer.from('PROXY TCP6 2001:DB8:0::9 2001:db8::1 0 65535\r\n'), '2001:db8::9'],
  [
    '1, a mapped address',
    Buffer.from('PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n'),
    '::ffff:192.0.2.9',
  ],
  ['1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  ['1, unknown with words', Buffer.from('PROXY UNKNOWN ffff::1 whatever 1 2\r\n'), undefined],
  ['1, as long as it gets', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`), undefined],
  ['2, IPv4', version2('2111', v4), '192.0.2.9'],
  ['2, IPv6', version2('2121', v6), '2001:db8::9'],
  ['2, IPv4 with more', version2('2111', v4 + tlv), '192.0.2.9'],
  ['2, a health check', version2('2000', ''), undefined],
  ['2, a health check with an address', version2('2011', v4), undefined],
  ['2, of nobody', version2('2100', 'abcd'), undefined],
  ['2, as large as it gets', version2('2111', v4.padEnd(2 * (4_096 - 16), '00')), '192.0.2.9'],
];

describe.each(good)('version %s', (_name, header, address) => {
  test('is read whole', () => {
    expect(proxyHeader(header, bounds)).toEqual({ address, end: header.length });
  });

  test('leaves what follows alone', () => {
    const more = Buffer.concat([header, Buffer.from('\u0016\u0003\u0001')]);
    expect(proxyHeader(more, bounds)).toEqual({ address, end: header.length });
  });

  test('is incomplete wherever it is cut', () => {
    for (let at = 0; at < header.length; at += 1) {
      expect(proxyHeader(header.subarray(0, at), bounds)).toBe('incomplete');
    }
  });
});

test.each<[string, Buffer]>([
  ['no header', Buffer.from('GET / HTTP/1.1\r\n')],
  ['a ClientHello', Buffer.from('160301', 'hex')],
  ['lower case', Buffer.from('proxy TCP4 192.0.2.9 203.0.113.1 1 2\r\n')],
  ['another family', Buffer.from('PROXY UDP4 192.0.2.9 203.0.113.1 1 2\r\n')],
  ['a family that does not fit', Buffer.from('PROXY TCP4 2001:db8::9 2001:db8::1 1 2\r\n')],
  ['a destination that does not fit', Buffer.from('PROXY TCP4 192.0.2.9 nowhere 1 2\r\n')],
  ['no address', Buffer.from('PROXY TCP4\r\n')],
  ['half an address', Buffer.from('PROXY TCP4 192.0.2 203.0.113.1 1 2\r\n')],
  ['an octal address', Buffer.from('PROXY TCP4 192.0.2.010 203.0.113.1 1 2\r\n')],
  ['an address with a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n')],
  ['two spaces', Buffer.from('PROXY TCP4  192.0.2.9 203.0.113.1 1 2\r\n')],
  ['a space at the end', Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 1 2 \r\n')],
  ['a port too many', Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 1 2 3\r\n')],
  ['a port that is none', Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 65536 1\r\n')],
  ['a port with a zero in front', Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 01 1\r\n')],
  ['a bare LF in the line', Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 1 2\nX\r\n')],
  ['no end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(93)}`)],
  ['an end that is too late', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['a signature that goes wrong', Buffer.from(`${signature.slice(0, -2)}0b`, 'hex')],
  ['version 3', Buffer.from(`${signature}31`, 'hex')],
  ['a command that is none', Buffer.from(`${signature}22`, 'hex')],
  ['datagrams', version2('2112', v4)],
  ['a socket of Unix', version2('2131', '00'.repeat(216))],
  ['too few bytes for IPv4', version2('2111', v4.slice(2))],
  ['too few bytes for IPv6', version2('2121', v4)],
  ['more than the bound', version2('2111', v4, 4_081)],
])('%s is refused', (_name, bytes) => {
  expect(proxyHeader(bytes, bounds)).toBe('refused');
});

test('whatever comes: it never throws, and more bytes never change what was said', () => {
  const headers = fc.constantFrom(...good.map(([, header]) => header));
  const damaged = fc
    .tuple(headers, fc.nat(), fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 20 }))
    .map(([header, at, byte, more]) => {
      const bytes = Buffer.concat([header, more]);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(damaged, (bytes) => {
      const said = proxyHeader(bytes, bounds);
      for (let at = 0; at < Math.min(bytes.length, 150); at += 1) {
        const before = proxyHeader(bytes.subarray(0, at), bounds);
        if (before !== 'incomplete') expect(before).toEqual(said);
      }
    }),
  );
});
