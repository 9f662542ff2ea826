import { expect, test } from 'vitest';
import { AppliedTable } from './applied-table.ts';

test('what all workers have taken is told once, as the newest state of the bus among it', () => {
  const table = new AppliedTable();
  expect(table.taken(-1)).toBeUndefined();
  expect(table.told('e', 7)).toBe(1);
  expect(table.told('e', 8)).toBe(2);
  expect(table.told('e', 9)).toBe(3);
  expect(table.taken(2)).toMatchObject({ epoch: 'e', revision: 8 });
  expect(table.taken(2)).toBeUndefined();
  expect(table.taken(-1)).toBeUndefined();
  expect(table.taken(3)).toMatchObject({ epoch: 'e', revision: 9 });
  expect(table.revision).toBe(9);
});

test('workers at an old table do not vouch for a new one, whose revisions begin anew', () => {
  const table = new AppliedTable();
  table.told('old', 500);
  expect(table.taken(1)).toMatchObject({ epoch: 'old', revision: 500 });
  table.told('new', 3);
  expect(table.taken(1)).toBeUndefined();
  expect(table.taken(2)).toMatchObject({ epoch: 'new', revision: 3 });
});

test('a table from disk is nothing to acknowledge', () => {
  const table = new AppliedTable();
  table.told(undefined, 0);
  expect(table.taken(1)).toBeUndefined();
  expect(table.revision).toBe(-1);
});
