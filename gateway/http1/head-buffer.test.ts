import { beforeEach, expect, test } from 'vitest';
import { limits } from '../limits.ts';
import { HeadBuffer } from './head-buffer.ts';

const head = 'GET / HTTP/1.1\r\nHost: a\r\n';

let buffer: HeadBuffer;
beforeEach(() => {
  buffer = new HeadBuffer(limits);
});

const push = (text: string): void => buffer.push(Buffer.from(text, 'latin1'));

/** The lines of the next head. */
function next(): string | null | undefined {
  const text = buffer.head();
  return text?.slice(0, buffer.headEnd) ?? (text === null ? null : undefined);
}

test.each([1, 2, 3, 4, 7])('a head in pieces of %i is found when it is whole', (size) => {
  const whole = `${head}\r\n`;
  for (let at = 0; at < whole.length; at += size) {
    expect(next()).toBeUndefined();
    push(whole.slice(at, at + size));
  }
  expect(next()).toBe(head);
  expect(buffer.length).toBe(0);
});

test('a head that came while nobody asked is found behind one that is not whole', () => {
  push(`${head}\r\n${head}`);
  expect(next()).toBe(head);
  expect(next()).toBeUndefined();
  push(`\r\n${head}\r\n`);
  push('GET');
  expect(next()).toBe(head);
  expect(next()).toBe(head);
  expect(next()).toBeUndefined();
  expect(buffer.rest().toString()).toBe('GET');
});

test('more heads than are looked at together are all found', () => {
  const count = Math.ceil((2 * limits.headBytesMax) / head.length);
  push(`${head}\r\n`.repeat(count));
  for (let index = 0; index < count; index += 1) expect(next()).toBe(head);
  expect(next()).toBeUndefined();
});

test.each([1, 100, limits.headBytesMax])(
  'a head that grows by %i is too large in the end',
  (size) => {
    let sent = 0;
    while (sent <= limits.headBytesMax) {
      if (sent > 0) expect(next()).toBeUndefined();
      push('a'.repeat(size));
      sent += size;
    }
    expect(next()).toBeNull();
  },
);

test('bytes that are kept outlive the memory they came in', () => {
  const shared = Buffer.from(head, 'latin1');
  buffer.push(shared, head.length);
  expect(next()).toBeUndefined();
  buffer.keep();
  shared.fill('x');
  push('\r\nbody');
  expect(next()).toBe(head);
  expect(buffer.restText()).toBe('body');
});

test('only the first bytes of what is lent are there', () => {
  const shared = Buffer.from(`${head}\r\nstale\r\n\r\n`, 'latin1');
  buffer.push(shared, head.length);
  expect(next()).toBeUndefined();
  buffer.push(Buffer.from('\r\nstale'), 2);
  expect(next()).toBe(head);
  expect(buffer.rest().length).toBe(0);
});

test('what is kept keeps no more memory than itself', () => {
  for (const there of ['G', 'GET']) {
    push(there.slice(buffer.length));
    buffer.keep();
    const { length } = buffer;
    expect(length).toBe(there.length);
  }
  expect(buffer.take().buffer.byteLength).toBe(3);
  push('GET');
  expect(buffer.rest().buffer.byteLength).toBe(3);
});
