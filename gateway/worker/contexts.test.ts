import { beforeEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { makeIdentity } from '../../test/edge.ts';
import { limits } from '../limits.ts';
import type { Presented } from '../tls.ts';
import { Contexts } from './contexts.ts';

const identity = makeIdentity();
let wanted: string[];
let contexts: Contexts;

beforeEach(() => {
  wanted = [];
  contexts = new Contexts(
    { clock: new ManualClock(), limits: { ...limits, contextsMax: 2 } },
    Buffer.alloc(32, 1),
    {
      wanted: (host) => {
        wanted.push(host);
        contexts.answer(host, identity);
      },
      unusable: (_host, reason) => expect.unreachable(reason),
      limited: (_host, bound) => expect.unreachable(bound),
    },
  );
});

function visit(host: string): Presented {
  let shown: Presented | undefined;
  contexts.get(host, true, (presented) => (shown = presented));
  if (!shown) throw new Error(`${host} was left without a certificate`);
  return shown;
}

test('beyond the bound the host that was visited longest ago is dropped, and asked for when it returns', () => {
  for (const host of ['a', 'b', 'a', 'c', 'a']) visit(host);
  expect(wanted).toEqual(['a', 'b', 'c']);
  visit('b');
  expect(wanted).toEqual(['a', 'b', 'c', 'b']);
  visit('a');
  expect(wanted).toHaveLength(4);
});

test('a context that was dropped goes on serving who holds it', () => {
  const held = visit('a');
  visit('b');
  visit('c');
  expect(held.covers('a.pods.example.test')).toBe(true);
  expect(visit('a')).not.toBe(held);
});
