import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineTimes, sinceOf } from './line-times.ts';

interface Line {
  readonly atMs: number;
  readonly text: string;
}

const timeOf = (atMs: number): string =>
  new Date(1_800_000_000_000 + atMs).toISOString().replace('Z', '000000Z');

/** What a node answers: lines that are not older, in the order in which they were written. */
const answer = (lines: readonly Line[], since = ''): Buffer =>
  Buffer.from(
    lines
      .map(({ atMs, text }) => ({ at: timeOf(atMs), text }))
      .filter(({ at }) => Date.parse(at) >= (since ? Date.parse(since) : -Infinity))
      .map(({ at, text }) => `${at} ${text}\n`)
      .join(''),
  );

type Place = LineTimes['place'];

function take(bytes: Buffer, known?: Place, pieces = 1) {
  const times = new LineTimes(known);
  let text = '';
  const size = Math.ceil(bytes.length / pieces);
  for (let at = 0; at < bytes.length; at += size)
    for (const piece of times.take(bytes.subarray(at, at + size))) text += piece.bytes.toString();
  return { text, place: times.place };
}

/** Looks after so many lines each time, every answer cut after so many bytes. */
function copied(lines: readonly Line[], looks: readonly number[], cutBytes = Infinity): string {
  let text = '';
  let place: Place | undefined;
  for (const count of [...looks, lines.length, lines.length]) {
    const whole = answer(lines.slice(0, count), place && sinceOf(place));
    const taken = take(whole.subarray(0, cutBytes), place, 3);
    text += taken.text;
    place = taken.place.at === '' ? undefined : taken.place;
  }
  return text;
}

const textOf = (lines: readonly Line[]): string => lines.map(({ text }) => `${text}\n`).join('');

test('however often one looks, each line is taken once, though the clock is set back meanwhile', () => {
  const step = fc.integer({ min: -4_000, max: 3_000 });
  const look = fc.nat({ max: 40 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.array(look), (steps, looks) => {
      let [atMs, backMs] = [0, 0];
      // One step back at most within what is asked for twice; times are to the nanosecond, so not equal.
      const lines = steps.map((stepMs, index): Line => {
        const back = stepMs < 0 && backMs === 0;
        if (back) backMs = stepMs;
        atMs += back ? stepMs : Math.abs(stepMs) + 1;
        return { atMs, text: `line ${index}` };
      });
      const unique = new Set(lines.map((line) => line.atMs)).size === lines.length;
      fc.pre(unique);
      expect(
        copied(
          lines,
          looks.toSorted((a, b) => a - b),
        ),
      ).toBe(textOf(lines));
    }),
  );
});

test('lines of one moment are told apart, and a line whose end was not there yet goes on', () => {
  const lines = ['a', 'b', 'c', 'd'].map((text) => ({ atMs: 5, text }));
  expect(copied(lines, [1, 2, 3])).toBe('a\nb\nc\nd\n');
  const begun = take(Buffer.from(`${timeOf(5)} beg`));
  expect(begun.text).toBe('beg');
  expect(take(answer([{ atMs: 5, text: 'begun' }]), begun.place).text).toBe('un\n');
});

test('an answer that is cut anywhere, be it within a time, is gone on with', () => {
  const lines = Array.from({ length: 4 }, (_, index) => ({ atMs: index, text: `line ${index}` }));
  const whole = answer(lines);
  for (let cut = 1; cut < whole.length; cut += 1) {
    const first = take(whole.subarray(0, cut));
    const place = first.place.at === '' ? undefined : first.place;
    expect(first.text + take(whole, place).text, `cut after ${cut}`).toBe(textOf(lines));
  }
});

test('where the last line is gone from the node, what is newer than all is taken', () => {
  const { place } = take(answer([{ atMs: 10, text: 'gone' }]));
  const rest = take(
    answer([
      { atMs: 9, text: 'old' },
      { atMs: 11, text: 'new' },
    ]),
    place,
  );
  expect(rest.text).toBe('new\n');
});

test('times of nodes with a time zone of their own are times in UTC', () => {
  const times = new LineTimes(undefined);
  const line = Buffer.from(
    '2026-03-29T01:59:59.999999999+01:00 a\n2026-03-29T03:00:00.5+02:00 b\n',
  );
  const taken = [...times.take(line)].map(({ at, bytes }) => `${at} ${bytes.toString()}`);
  expect(taken).toEqual(['2026-03-29T00:59:59.999999999Z a\n', '2026-03-29T01:00:00.5Z b\n']);
});

test('the rest of a line whose beginning was not asked for is left out', () => {
  const rest = Buffer.concat([Buffer.from('of a line\n'), answer([{ atMs: 2, text: 'next' }])]);
  expect(take(rest).text).toBe('next\n');
  expect(take(rest, take(answer([{ atMs: 1, text: 'whole' }])).place).text).toBe('next\n');
});
