import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ChunkedScanner, needsMore } from '../../../gateway/http1/chunked.ts';
import { Refusal } from '../../../gateway/http1/fields.ts';
import { parseRequestHead } from '../../../gateway/http1/request-head.ts';
import { parseResponseHead } from '../../../gateway/http1/response-head.ts';
import { limits } from '../../../gateway/limits.ts';
import { ClientHelloReader } from '../../../gateway/client-hello.ts';
import { beginnings } from '../first-bytes.ts';
import { badAnswers } from '../http1/answers.ts';
import { chunks } from '../http1/chunks.ts';
import { fields } from '../http1/fields.ts';
import { framing } from '../http1/framing.ts';
import { upgrades } from '../http1/upgrade.ts';
import { composed, cut, cuts, damaged, noise, runs } from './bytes.ts';
import { NodesReading } from './nodes.ts';
import type { Reading } from './ours.ts';
import { readRequests, readResponse } from './ours.ts';

/** Bytes nobody thought of: parsers never throw, never hang and never give bytes a meaning of their own. */

const node = new NodesReading();
beforeAll(() => node.start());
afterAll(() => node.stop());

const timeout = 10_000 + runs * 40;
const numRuns = runs;

const seeds = [...framing, ...chunks, ...fields, ...upgrades];
const good = seeds.filter(({ after }) => after === 'open');
const requests = fc.oneof(
  { weight: 8, arbitrary: damaged(good.map(({ send }) => send)) },
  { weight: 2, arbitrary: damaged(seeds.map(({ send }) => send)) },
  { weight: 3, arbitrary: composed('POST / HTTP/1.1\r\nHost: a.test\r\n') },
  { weight: 1, arbitrary: noise },
);
const begun = badAnswers.filter(({ client }) => typeof client === 'string');
const responses = fc.oneof(
  { weight: 8, arbitrary: damaged(begun.map(({ sends }) => sends)) },
  { weight: 2, arbitrary: damaged(badAnswers.map(({ sends }) => sends)) },
  { weight: 3, arbitrary: composed('HTTP/1.1 200 OK\r\n') },
  { weight: 1, arbitrary: noise },
);
const hellos = (await beginnings())
  .flatMap(([, steps]) => steps)
  .filter(({ send }) => send[0] === 0x16 && send.length < 4_000)
  .map(({ send }) => send);
const helloBytes = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom(...hellos), flips()).map(flipped) },
  { weight: 1, arbitrary: noise },
);

function flips(): fc.Arbitrary<readonly (readonly [number, number])[]> {
  return fc.array(fc.tuple(fc.nat({ max: 4_000 }), fc.nat({ max: 255 })), { maxLength: 3 });
}

function flipped([hello, changes]: [Buffer, readonly (readonly [number, number])[]]): Buffer {
  const bytes = Buffer.from(hello);
  for (const [at, value] of changes) bytes[at % bytes.length] = value;
  return bytes;
}

test('heads: parsed or refused, never an exception', { timeout }, () => {
  fc.assert(
    fc.property(fc.oneof(requests, responses), (bytes) => {
      const text = bytes.toString('latin1');
      const head = parseRequestHead(text, limits);
      if (!(head instanceof Refusal)) expect(head.fields).not.toMatch(/[\0\v\f]|[^\r]\n|\r[^\n]/);
      const answer = parseResponseHead(text, 'GET');
      if (answer) expect(answer.text).not.toMatch(/[\0\v\f]|[^\r]\n|\r[^\n]/);
    }),
    { numRuns: numRuns * 10 },
  );
});

test('chunks: the same end however they are cut', { timeout }, () => {
  const bodies = fc.oneof(damaged(['5\r\nhello\r\n0\r\n\r\n', '0\r\nA: b\r\n\r\n']), composed('5'));
  fc.assert(
    fc.property(bodies, cuts, (bytes, places) => {
      const end = new ChunkedScanner(limits).scan(bytes, 0);
      expect(end).toBeGreaterThanOrEqual(-2);
      expect(end).toBeLessThanOrEqual(bytes.length);
      const scanner = new ChunkedScanner(limits);
      let passed = 0;
      let found = needsMore;
      for (const piece of cut(bytes, places)) {
        found = scanner.scan(piece, 0);
        if (found !== needsMore) break;
        passed += piece.length;
      }
      expect(found < 0 ? found : passed + found).toBe(end);
    }),
    { numRuns: numRuns * 10 },
  );
});

test('requests: ended where Node ends them, or refused', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (bytes) => {
      agree(readRequests(bytes), await node.requests(bytes));
    }),
    { numRuns },
  );
});

test('responses: ended where Node ends them, or refused', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(responses, fc.constantFrom('GET', 'HEAD', 'POST'), async (bytes, method) => {
      const ours = readResponse(bytes, method);
      if (!ours.refused) agree(ours, await node.response(bytes, method));
    }),
    { numRuns },
  );
});

/** Each message that both give a meaning to has the same; who refuses it gives it none. */
function agree(ours: Reading, nodes: Reading): void {
  for (const [index, message] of ours.messages.entries()) {
    const last = index === ours.messages.length - 1;
    if (last && ours.refused) return;
    const other = nodes.messages[index];
    if (nodes.refused && !other?.whole) return;
    expect(other).toEqual(message);
  }
}

test(
  'a ClientHello: the same however it is cut, and the name that OpenSSL finds',
  { timeout },
  async () => {
    await fc.assert(
      fc.asyncProperty(helloBytes, cuts, async (bytes, places) => {
        const whole = new ClientHelloReader(limits).push(bytes);
        const reader = new ClientHelloReader(limits);
        let result: ReturnType<ClientHelloReader['push']> = 'incomplete';
        for (const piece of cut(bytes, places)) {
          if (result === 'incomplete' && piece.length > 0) result = reader.push(piece);
        }
        expect(result).toEqual(whole);
        if (typeof whole === 'string') return;
        const name = await node.serverName(bytes);
        if (name !== undefined) expect(name.toLowerCase()).toBe(whole.serverName);
      }),
      { numRuns },
    );
  },
);
