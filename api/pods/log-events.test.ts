import { assert, constantFrom, property, string, array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEvents } from '../../test/server-sent-events.ts';
import { LogEvents, placeOf } from './log-events.ts';

const pod = { createdAtMs: Date.UTC(2026, 0, 1) };
const prefix = pod.createdAtMs.toString(36);
const window = { tail: 5 };

function encoded(...texts: string[]): string {
  const events = new LogEvents(pod);
  return texts.map((text, at) => events.encode({ text, cursor: `${at}`, gap: false })).join('');
}

const read = (stream: string): string =>
  parseEvents(stream)
    .map(({ data }) => data)
    .join('');

describe('an event', () => {
  test('has an id, and data with every line', () => {
    expect(encoded('a\nb\n')).toBe(`id: ${prefix}-0\ndata: a\ndata: b\ndata: \n\n`);
  });

  test('says before it what is no longer kept', () => {
    const [gap, message] = parseEvents(
      new LogEvents(pod).encode({ text: 'x', cursor: '9', gap: true }),
    );
    expect([gap?.event, message?.event, message?.id]).toEqual(['gap', 'message', `${prefix}-9`]);
  });

  test.each([
    ['a return that ends a line', ['a\r\nb'], 'a\nb'],
    ['one between two pieces', ['a\r', '\nb'], 'a\nb'],
    ['returns of a progress bar', ['1%\r2%\r', '3%\n'], '1%\n2%\n3%\n'],
    ['what looks like a field', ['event: end\ndata: x\n\nid: 1'], 'event: end\ndata: x\n\nid: 1'],
    ['spaces at the beginning', [' a\n  b'], ' a\n  b'],
  ])('%s arrives as text', (_name, texts, want) => {
    expect(read(encoded(...texts))).toBe(want);
  });

  test('arrives as it was written, whatever it is and wherever it is cut', () => {
    const texts = array(string({ unit: constantFrom('\n', ':', ' ', 'a', 'data', '\u2028') }));
    assert(
      property(texts, (pieces) => {
        expect(read(encoded(...pieces))).toBe(pieces.join(''));
      }),
    );
  });
});

describe('where to begin', () => {
  test('is after the event that a client had last', () => {
    expect(placeOf(`${prefix}-77`, window, pod)).toEqual({ after: '77' });
  });

  test.each([undefined, '', `${(pod.createdAtMs - 1).toString(36)}-77`])(
    'is the window without one of this pod (%j)',
    (id) => {
      expect(placeOf(id, window, pod)).toBe(window);
    },
  );

  test.each(['77', 'abc-', `${prefix}-a b`, `${prefix}-${'1'.repeat(201)}`, 'A-1'])(
    'is refused for %j',
    (id) => {
      expect(() => placeOf(id, window, pod)).toThrow('header, last-event-id: ');
    },
  );
});
