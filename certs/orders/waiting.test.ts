import { expect, test } from 'vitest';
import { priorities } from './assess.ts';
import { Waiting } from './waiting.ts';

const fresh = { priority: priorities.newPod, counted: true };
const renewal = { priority: priorities.renewal, counted: false };
const otherHosts = { priority: priorities.renewal, counted: true };
const idle = { priority: priorities.idle, counted: true };

function drain(waiting: Waiting, nowMs = 0): string[] {
  const taken: string[] = [];
  for (let id = waiting.take(nowMs); id !== undefined; id = waiting.take(nowMs)) taken.push(id);
  return taken;
}

test('served by class, within one by who came first; who is looked at again keeps its place', () => {
  const waiting = new Waiting();
  for (const id of ['a', 'b', 'c']) waiting.put(id, fresh, 'acme');
  waiting.put('last', idle, 'acme');
  waiting.put('first', renewal, 'acme');
  waiting.put('a', fresh, 'acme');
  waiting.put('c', idle, 'acme');
  expect([...waiting.places()].map(([id]) => id)).toEqual(['first', 'a', 'b', 'last', 'c']);
  expect(drain(waiting)).toEqual(['first', 'a', 'b', 'last', 'c']);
  expect(waiting.size).toBe(0);
});

test('one who has 50,000 new pods does not keep others waiting', () => {
  const waiting = new Waiting();
  for (let pod = 0; pod < 50_000; pod += 1) waiting.put(`big/${pod}`, fresh, 'big');
  for (let pod = 0; pod < 3; pod += 1) waiting.put(`small/${pod}`, fresh, 'small');
  const places = new Map(waiting.places());
  expect(places.get('small/2')).toBe(6);
  expect(drain(waiting).slice(0, 7)).toEqual([
    'big/0',
    'small/0',
    'big/1',
    'small/1',
    'big/2',
    'small/2',
    'big/3',
  ]);
});

test('who was taken and cannot be served is the next one again', () => {
  const waiting = new Waiting();
  for (let pod = 0; pod < 5_000; pod += 1) waiting.put(`${pod}`, fresh, 'acme');
  for (let pod = 0; pod < 4_000; pod += 1) {
    const id = waiting.take(0) ?? '';
    expect(id).toBe(`${pod}`);
    if (pod % 7 === 0) {
      waiting.putBack(id, fresh, 'acme');
      expect(waiting.take(0)).toBe(id);
    }
  }
  waiting.putBack('3999', fresh, 'acme');
  waiting.remove('4000');
  expect(drain(waiting).slice(0, 2)).toEqual(['3999', '4001']);
});

test('what limits count waits for them, with all that is less urgent and counted; renewals do not', () => {
  const waiting = new Waiting();
  waiting.put('new', fresh, 'acme');
  waiting.put('other hosts', otherHosts, 'acme');
  waiting.put('renewal', renewal, 'acme');
  waiting.hold(otherHosts, 1000);
  expect(drain(waiting, 999)).toEqual(['renewal']);
  expect(drain(waiting, 1000)).toEqual(['other hosts', 'new']);
});

test('an authority that wants to be left alone holds up everything from there on', () => {
  const waiting = new Waiting();
  for (const [id, need] of Object.entries({ fresh, renewal, otherHosts }))
    waiting.put(id, need, '');
  waiting.hold(renewal, 1000);
  expect(drain(waiting, 999)).toEqual([]);
});
