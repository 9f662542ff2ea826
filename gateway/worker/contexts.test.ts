import { beforeEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { makeIdentity } from '../../test/edge.ts';
import { limits } from '../limits.ts';
import type { OwnIdentity } from '../messages.ts';
import type { Presented } from '../tls.ts';
import { Contexts } from './contexts.ts';

const [identity, another] = [makeIdentity(), makeIdentity()];
const damaged = { chain: 'none', key: 'none' };
let wanted: string[];
let contexts: Contexts;
let unusable: string[];
/** What the parent says of `without.test`. */
let own: OwnIdentity;

beforeEach(() => {
  wanted = [];
  unusable = [];
  contexts = new Contexts(
    { clock: new ManualClock(), limits: { ...limits, contextsMax: 2 } },
    Buffer.alloc(32, 1),
    {
      wanted: (host) => {
        wanted.push(host);
        contexts.answer(host, host === 'without.test' ? own : identity);
      },
      unusable: (host) => void unusable.push(host),
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

/** What is shown for a host that has none of its own. */
function stranger(host: string): Presented | undefined {
  let shown: Presented | undefined;
  contexts.get(host, false, (presented) => (shown = presented));
  return shown;
}

test('wildcards of many domains are built as they are used, within the same bound', () => {
  for (const domain of ['a.test', 'b.test', 'c.test']) contexts.setWildcard(domain, identity);
  expect(contexts.count).toBe(0);
  const a = stranger('x.pods.a.test');
  expect(stranger('y.pods.a.test')).toBe(a);
  for (const domain of ['b.test', 'c.test']) stranger(`x.pods.${domain}`);
  expect(contexts.count).toBe(2);
  expect(stranger('x.pods.a.test')).not.toBe(a);
  expect(stranger('elsewhere.test')).toBeDefined();
  expect(unusable).toEqual([]);
});

test('a wildcard is replaced by one that can be used, and by no other', () => {
  contexts.setWildcard('a.test', identity);
  const before = stranger('x.pods.a.test');
  contexts.setWildcard('a.test', damaged);
  expect(stranger('x.pods.a.test')).toBe(before);
  contexts.forget(['*.pods.a.test']);
  expect(stranger('x.pods.a.test')).toBeDefined();
  contexts.setWildcard('a.test', another);
  const after = stranger('x.pods.a.test');
  expect(after).not.toBe(before);
  contexts.setWildcard('a.test', undefined);
  expect(stranger('x.pods.a.test')).toBeUndefined();
  expect(unusable).toEqual(['*.pods.a.test']);
});

test('a first wildcard that cannot be used is told of once, and another domain’s answers', () => {
  contexts.setWildcard('a.test', damaged);
  contexts.setWildcard('b.test', identity);
  expect(stranger('x.pods.a.test')).toBe(stranger('x.pods.b.test'));
  stranger('x.pods.a.test');
  expect(unusable).toEqual(['*.pods.a.test']);
});

test('of a host that has none of its own is asked once, until its certificate changes', () => {
  contexts.setWildcard('a.test', identity);
  own = 'none';
  const wildcard = visit('without.test');
  expect(visit('without.test')).toBe(wildcard);
  expect(wanted).toEqual(['without.test']);
  contexts.forget(['without.test']);
  own = undefined; // there is one, and it cannot be used at the moment
  expect(visit('without.test')).toBe(wildcard);
  own = another;
  const shown = visit('without.test');
  expect(shown).not.toBe(wildcard);
  expect(visit('without.test')).toBe(shown);
  expect(wanted).toHaveLength(3);
});

test('no more hosts without one of their own are remembered than contexts are kept', () => {
  contexts.setWildcard('a.test', identity);
  for (const host of ['x.test', 'y.test', 'z.test']) {
    contexts.forget([host]);
    contexts.answer(host, 'none');
  }
  for (const host of ['y.test', 'z.test', 'x.test']) visit(host);
  expect(wanted).toEqual(['x.test']);
});
