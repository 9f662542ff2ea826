import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConnectionFault, errors } from '../protocol.ts';
import { HpackDecoder } from './decoder.ts';
import { encodeField, noTable } from './encoder.ts';
import { decodedBytesMax, decodeHuffman } from './huffman.ts';
import { codeLengths } from './huffman-lengths.ts';

const decoder = (listBytesMax = 32_768): HpackDecoder => new HpackDecoder(listBytesMax);

function decode(hex: string, by = decoder()): string[] {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return by.decode(bytes, 0, bytes.length);
}

const first = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
const second = [...first, 'cache-control', 'no-cache'];
const third = [
  ':method',
  'GET',
  ':scheme',
  'https',
  ':path',
  '/index.html',
  ':authority',
  'www.example.com',
  'custom-key',
  'custom-value',
];
const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
const redirect = [
  ':status',
  '302',
  'cache-control',
  'private',
  'date',
  date,
  'location',
  'https://www.example.com',
];
const later = 'Mon, 21 Oct 2013 20:13:22 GMT';
const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const found = [
  ':status',
  '200',
  'cache-control',
  'private',
  'date',
  later,
  'location',
  'https://www.example.com',
  'content-encoding',
  'gzip',
  'set-cookie',
  cookie,
];

/** Sets the size of the table to 256, which the examples of answers have from the beginning. */
const table256 = '3fe101';

describe('the examples of RFC 7541, appendix C', () => {
  test.each<[string, string, readonly string[]]>([
    [
      'C.2.1',
      '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
      ['custom-key', 'custom-header'],
    ],
    ['C.2.2', '040c2f73616d706c652f70617468', [':path', '/sample/path']],
    ['C.2.3', '100870617373776f726406736563726574', ['password', 'secret']],
    ['C.2.4', '82', [':method', 'GET']],
  ])('%s', (_name, hex, fields) => {
    expect(decode(hex)).toEqual(fields);
  });

  test.each<[string, readonly string[]]>([
    [
      'C.3, plain',
      [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
    ],
    [
      'C.4, Huffman coded',
      [
        '828684418cf1e3c2e5f23a6ba0ab90f4ff',
        '828684be5886a8eb10649cbf',
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      ],
    ],
  ])('%s', (_name, blocks) => {
    const by = decoder();
    expect(blocks.map((hex) => decode(hex, by))).toEqual([first, second, third]);
  });

  test.each<[string, readonly string[]]>([
    [
      'C.5, plain, with eviction',
      [
        `${table256}4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a` +
          '323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
        '4803333037c1c0bf',
        '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f' +
          '3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20' +
          '76657273696f6e3d31',
      ],
    ],
    [
      'C.6, Huffman coded, with eviction',
      [
        `${table256}488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad` +
          '171863c78f0b97c8e9ae82ae43d3',
        '4883640effc1c0bf',
        '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335df' +
          'dfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
      ],
    ],
  ])('%s', (_name, blocks) => {
    const by = decoder();
    const again = [':status', '307', ...redirect.slice(2)];
    expect(blocks.map((hex) => decode(hex, by))).toEqual([redirect, again, found]);
  });
});

describe('the Huffman code', () => {
  test('is whole: no bits are left without a meaning (Kraft)', () => {
    expect(codeLengths).toHaveLength(257);
    expect(codeLengths.reduce((sum, bits) => sum + 2 ** -bits, 0)).toBe(1);
  });

  test('of every byte', () => {
    // By another implementation (python-hyper's hpack).
    const hex =
      'ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7f' +
      'ffffabffffffdfffffebfffffecfffffedfffffeefffffefffffff0ffffff1ffffff2fffffffbfff' +
      'ffcffffffd3fffffd7fffffdbfffffdffffffe3fffffe7fffffebfffffed4fe3f9ffaffcabf1febf' +
      'afefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66ddd' +
      'bf871e5f9cff7ff7fffc3ff9ffe45fff4719242cb34e6e9d68a6a3d7dac426defe3cfaf7fffbfe7f' +
      'fbffdffffffcfffe6ffff4bfff9ffffa3fffd3ffff53fffd5ffffb3fffeb7fffdaffffb7ffff73ff' +
      'feeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ffffe4fffee7f' +
      'ffb1ffff97fffd9ffffcdffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffff' +
      'd5fffeeffffbdffffe1fffdfffff7fffff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77' +
      'fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff1fffff83ffffe1fffebfffe3ffff3fff' +
      'ff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8fffffb7fff97fff8ffff' +
      'fe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9' +
      'fffff97fffb3ffffcffffb7fffcdffff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4f' +
      'ffff5fffffabffffa7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffffabfffff5fff' +
      'ffff7ffffecfffffdbfffffbbfffff7ffffff0fffffbbf';
    const coded = Buffer.from(hex, 'hex');
    const out = Buffer.alloc(decodedBytesMax(coded.length));
    const length = decodeHuffman(coded, 0, coded.length, out);
    expect([...out.subarray(0, length)]).toEqual(Array.from({ length: 256 }, (_, byte) => byte));
  });

  test.each<[string, string]>([
    ['padding of eight bits', '1fff'],
    ['padding that is not ones', '00'],
    ['the end of a string in its middle', 'ffffffff'],
  ])('%s is malformed', (_name, hex) => {
    const coded = Buffer.from(hex, 'hex');
    expect(decodeHuffman(coded, 0, coded.length, Buffer.alloc(16))).toBe(-1);
  });
});

describe('refused', () => {
  test.each<[string, string]>([
    ['an index of nothing', '80'],
    ['an index beyond the tables', 'be'],
    ['an index beyond the tables as a name', '7f00'],
    ['an integer without end', 'ff'],
    ['an integer beyond all bounds', 'ffffffffffff01'],
    ['a string longer than its block', '000161'],
    ['a field without a value', '000161'],
    ['a table larger than we allow', '3fe21f'],
    ['a size update among fields', '8220'],
  ])('%s', (_name, hex) => {
    expect(() => decode(hex)).toThrow(ConnectionFault);
    expect(() => decode(hex)).toThrow(expect.objectContaining({ code: errors.compression }));
  });

  test('a list beyond its bound is not kept, and the table goes on', () => {
    const by = decoder(100);
    const block = '400a637573746f6d2d6b65790d637573746f6d2d686561646572'; // 55 bytes as a list
    expect(decode(block + block + block, by)).toHaveLength(2);
    expect(by.tooLarge).toBe(true);
    expect(decode('bebfc0', by)).toHaveLength(2);
    expect(decode('be', by)).toEqual(['custom-key', 'custom-header']);
    expect(by.tooLarge).toBe(false);
  });
});

test('any bytes decode, or are a fault of compression and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const by = decoder();
      try {
        for (const block of blocks) by.decode(Buffer.from(block), 0, block.length);
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectionFault);
        expect(error).toHaveProperty('code', errors.compression);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('what we encode decodes to the same', () => {
  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 300,
  });
  const name = fc.oneof(
    fc.constantFrom(':status', 'content-type', 'set-cookie', 'x-any', 'date'),
    fc.stringMatching(/^[a-z-]{1,150}$/),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.oneof(fc.constantFrom('200', '404', ''), text))),
      (fields) => {
        const block = noTable + fields.map(([key, value]) => encodeField(key, value)).join('');
        const bytes = Buffer.from(block, 'latin1');
        expect(decoder(1 << 20).decode(bytes, 0, bytes.length)).toEqual(fields.flat());
      },
    ),
  );
});
