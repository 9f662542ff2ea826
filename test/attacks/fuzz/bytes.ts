import * as fc from 'fast-check';

/** How often each property is tried; a failure prints the seed with which fast-check repeats it. */
export const runs = Number(process.env['PODGATE_TEST_FUZZ_RUNS'] ?? 500);

/** Pieces that parsers disagree about, one character for one byte. */
const pieces = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '\0',
  '\v',
  ':',
  ',',
  ';',
  '0',
  '5',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  'hello',
  '5;a=b\r\nhello\r\n',
  '\r\n ',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'content-length:5\r\n',
  'Content-Length: 05\r\n',
  'Content-Length : 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'transfer-encoding:  Chunked \r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding: chunked, identity\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Connection: content-length\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Expect: 100-continue\r\n',
  'A: b\r\n',
  'HTTP/1.0',
  'HTTP/1.1',
  'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  '\u007f',
  '\u0080',
  '\u00ff',
];

interface Edit {
  readonly at: number;
  readonly drop: number;
  readonly put: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  // Anywhere, but rather where the framing is.
  at: fc.oneof(fc.nat({ max: 10_000 }), fc.nat({ max: 120 })),
  drop: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 12 })),
  put: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...pieces) },
    fc.nat({ max: 255 }).map((code) => String.fromCharCode(code)),
    fc.constant(''),
  ),
});

function edited(text: string, { at, drop, put }: Edit): string {
  const from = at % (text.length + 1);
  return text.slice(0, from) + put + text.slice(from + drop);
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** One or more of the seeds behind one another, damaged in a few places. */
export const damaged = (seeds: readonly string[]): fc.Arbitrary<Buffer> =>
  fc
    .tuple(
      fc.array(fc.constantFrom(...seeds), { minLength: 1, maxLength: 3 }),
      fc.array(edit, { maxLength: 4 }),
    )
    .map(([texts, edits]) => latin1(edits.reduce(edited, texts.join(''))));

/** Heads and bodies of pieces alone, behind a start line that passes. */
export const composed = (start: string): fc.Arbitrary<Buffer> =>
  fc
    .array(fc.constantFrom(...pieces), { maxLength: 8 })
    .map((parts) => latin1(`${start}${parts.join('')}`));

export const noise: fc.Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 400 })
  .map((bytes) => Buffer.from(bytes));

/** Where to cut. */
export const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 6 });

/** The bytes in pieces, cut at these places. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length];
  let from = 0;
  return ends
    .toSorted((a, b) => a - b)
    .map((to) => {
      const piece = bytes.subarray(from, to);
      from = to;
      return piece;
    });
}
