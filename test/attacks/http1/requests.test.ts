import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Edge } from '../../edge.ts';
import type { Attack } from './attack.ts';
import { forwarded, request } from './attack.ts';
import { chunks } from './chunks.ts';
import { RawClient } from './client.ts';
import { fields } from './fields.ts';
import { framing } from './framing.ts';
import { head } from './head.ts';
import { hosts } from './host.ts';
import { EchoPod } from './pod.ts';
import { target } from './target.ts';
import { upgrades } from './upgrade.ts';

/**
 * What a client can send that two programs may read in two ways. Each case is followed by an honest
 * request on the same connection, where that goes on, and by one on another that finds the pod's
 * connections as the case left them: what slipped through would answer in its place.
 */

const pod = new EchoPod();
let edge: Edge;

beforeAll(async () => {
  edge = await Edge.start();
  await edge.pod(pod.accept);
  await honest(await connect(), '/first');
});
afterAll(() => edge.close());

const connect = async (): Promise<RawClient> => new RawClient(await edge.secure());

/** One request more; returns what the pod got of it. */
async function honest(client: RawClient, path: string): Promise<string> {
  const before = client.received.length;
  client.send(request(`GET ${path} HTTP/1.1`));
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${path.length + 4}\r\n\r\nGET ${path}`;
  await client.until(() => client.received.length >= before + answer.length || client.ended);
  expect(client.received.slice(before)).toBe(answer);
  return forwarded(`GET ${path} HTTP/1.1`);
}

async function run({ send, answers, after, pod: expected }: Attack): Promise<void> {
  pod.forget();
  const client = await connect();
  const heads = answers.map((answer) => String(answer).startsWith('HEAD '));
  client.send(send);
  const wanted = answers.map((answer, index) => (heads[index] ? '' : answer));
  let toPod = expected;
  if (after === 'unfinished') {
    await vi.waitFor(() => expect(pod.received).toBe(expected), { timeout: 3_000, interval: 1 });
    client.socket.end();
  } else if (after === 'open') {
    await client.until(() => client.ended || client.answers(heads).length >= answers.length);
    expect(client.answers(heads)).toEqual(wanted);
    toPod += await honest(client, '/next');
    client.socket.end();
  }
  await client.until(() => client.ended);
  if (after !== 'open') expect(client.answers(heads)).toEqual(wanted);
  toPod += await honest(await connect(), '/other');
  expect(pod.received).toBe(toPod);
}

const cases = [...framing, ...chunks, ...head, ...target, ...hosts, ...fields, ...upgrades];

const printable = (name: string): string => JSON.stringify(name).slice(1, -1);

test.each(cases.map((attack) => [printable(attack.name), attack] as const))('%s', (_name, attack) =>
  run(attack),
);

test('are many, each with a name of its own', () => {
  expect(cases.length).toBeGreaterThan(300);
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});
