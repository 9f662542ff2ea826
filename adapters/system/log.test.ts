import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Log } from '#contracts/log.ts';
import { createLog } from './log.ts';

let folder: string;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-log-'));
  fd = openSync(join(folder, 'log'), 'a');
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const logAt = (level: string): Log => createLog({ level, destination: fd });
const written = (): string => readFileSync(join(folder, 'log'), 'utf8');
const line = (): Record<string, unknown> => JSON.parse(written()) as Record<string, unknown>;

test('a line is JSON with message, time and fields, written when the call returns', () => {
  logAt('info').info({ key: 'default/shop', run: 3 }, 'run started');
  expect(line()).toMatchObject({ msg: 'run started', key: 'default/shop', run: 3 });
  expect(line()['time']).toBeTypeOf('number');
});

test('what is below the level is not written', () => {
  const log = logAt('warn');
  log.info({}, 'quiet');
  log.debug({}, 'quieter');
  log.warn({}, 'loud');
  expect(line()['msg']).toBe('loud');
});

test('obvious secrets are not written, at any of the first three levels', () => {
  const log = logAt('info');
  log.info({ password: 'hunter2' }, 'a');
  log.info({ pod: { environment: { A: 'hunter2' } } }, 'b');
  log.info({ request: { headers: { authorization: 'hunter2' } } }, 'c');
  expect(written()).not.toContain('hunter2');
  expect(written().trim().split('\n')).toHaveLength(3);
});

test.each(['error', 'err'])('an Error in the field %s is written with name and stack', (field) => {
  logAt('info').error({ [field]: new TypeError('no port') }, 'failed');
  expect(line()[field]).toMatchObject({ type: 'TypeError', message: 'no port' });
});
