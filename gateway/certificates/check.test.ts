import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeIdentity } from '../../test/edge.ts';
import { problemOf } from './check.ts';

const one = makeIdentity();
const other = makeIdentity();
const nowMs = Date.parse(new X509Certificate(one.chain).validFrom) + 1_000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

const cases: readonly (readonly [string, typeof one, number, RegExp | undefined])[] = [
  ['one that fits', one, nowMs, undefined],
  ['the key of another', { chain: one.chain, key: other.key }, nowMs, /key is of another/],
  [
    'a key of another kind',
    { chain: one.chain, key: rsa.export({ type: 'pkcs8', format: 'pem' }) },
    nowMs,
    /key is of another/,
  ],
  ['one of tomorrow', one, nowMs - 60_000, /^it is not valid before /],
  [
    'a chain of strangers',
    { ...one, chain: one.chain + other.chain },
    nowMs,
    /broken behind certificate 1/,
  ],
  ['no chain', { ...one, chain: '' }, nowMs, /holds no certificate/],
  [
    'a damaged chain',
    { ...one, chain: one.chain.replace('MII', 'MIX') },
    nowMs,
    /^it cannot be read/,
  ],
  ['no key', { ...one, key: 'none' }, nowMs, /^it cannot be read/],
];

test.each(cases)('%s', (_name, identity, atMs, problem) => {
  const found = problemOf(identity, atMs);
  if (problem) expect(found).toMatch(problem);
  else expect(found).toBeUndefined();
});
