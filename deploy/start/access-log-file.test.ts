import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { refuseUnwritable } from './access-log-file.ts';

test.each([tmpdir(), '/no/such/folder/access.log'])(
  '%s is refused by the name of its setting',
  (path) => {
    expect(() => refuseUnwritable(path)).toThrow('PODGATE_ACCESS_LOG_FILE cannot be written');
  },
);

test('stderr is always there', () => {
  expect(() => refuseUnwritable('')).not.toThrow();
});
