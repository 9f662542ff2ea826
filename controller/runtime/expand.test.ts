import { expect, test } from 'vitest';
import { expand, expandEnvironment } from './expand.ts';

const variables = { A: 'one', B: '$(A)', EMPTY: '', DOLLARS: '$$' };

// The rows of Kubernetes' own table (third_party/forked/golang/expansion).
test.each([
  ['a reference', '$(A)', 'one'],
  ['several references', '$(A)-$(EMPTY)-$(A)', 'one--one'],
  ['a value that looks like a reference is not expanded again', '$(B)', '$(A)'],
  ['nor is an escape in a value', '$(DOLLARS)', '$$'],
  ['an unknown name stays', '$(NOPE)', '$(NOPE)'],
  ["an object's own names are no variables", '$(constructor)', '$(constructor)'],
  ['two dollars escape', '$$(A)', '$(A)'],
  ['three are an escape and a reference', '$$$(A)', '$one'],
  ['four escape twice', '$$$$(A)', '$$(A)'],
  ['an open reference stays', '$(A', '$(A'],
  ['an empty reference stays', '$()', '$()'],
  ['a lone dollar stays', 'a$ $b {$A} $', 'a$ $b {$A} $'],
])('%s', (_name, text, want) => {
  expect(expand(text, variables)).toBe(want);
});

test('values refer to the base and to those before them, not to those after', () => {
  const own = { X: '$(BASE)1', Y: '$(X)2', Z: '$(LATER)', LATER: 'l' };
  expect(expandEnvironment({ BASE: 'b' }, own)).toEqual({
    BASE: 'b',
    X: 'b1',
    Y: 'b12',
    Z: '$(LATER)',
    LATER: 'l',
  });
});
