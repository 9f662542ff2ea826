import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Address } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { CancelDesk } from '../cancel-desk.ts';
import { Deadlines } from '../deadlines.ts';
import { limits } from '../limits.ts';
import type { FromWorker } from '../messages.ts';
import { Cancels } from './cancels.ts';

/** Two workers and their parent in this process; what they tell one another is copied as it is sent. */

const key = '00001234deadbeef';
const request = Buffer.from(`0000001004d2162e${key}`, 'hex');
const me = '192.0.2.9';

let clock: ManualClock;
let deadlines: Deadlines;
let workers: Cancels[];
let parentHangs: boolean;
const open = new Set<net.Socket>();
const servers: net.Server[] = [];

beforeEach(() => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  parentHangs = false;
  const desk = new CancelDesk(clock, (question) => {
    for (const worker of workers) worker.asked(structuredClone(question));
    return workers.length;
  });
  const heard = (at: number, message: FromWorker): void => {
    if (parentHangs) return;
    if (message.kind === 'cancel-owners') desk.answer(message.question, message.owners);
    if (message.kind !== 'cancel-wanted') return;
    const { question } = message;
    void desk
      .find(message.key, message.from)
      .then((owner) => workers[at]?.answered({ question, owner }));
  };
  const context = { deadlines, limits };
  // A message takes a turn, as it does between processes.
  workers = [0, 1].map(
    (at) =>
      new Cancels(context, (message) => setImmediate(() => heard(at, structuredClone(message)))),
  );
});

afterEach(() => {
  deadlines.stop();
  for (const socket of open) socket.destroy();
  open.clear();
  for (const server of servers.splice(0)) server.close();
});

async function listen(accepted: (socket: net.Socket) => void): Promise<Address> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    accepted(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
}

/** A pod that takes a request in and closes, as Postgres does. */
async function pod(): Promise<{ upstream: Address; got: string[] }> {
  const got: string[] = [];
  const upstream = await listen((socket) => {
    socket.once('data', (bytes: Buffer) => {
      got.push(bytes.toString('hex'));
      socket.end();
    });
  });
  return { upstream, got };
}

/** The client's end of a connection whose first message is a CancelRequest. */
async function cancelAt(worker: number, from = me): Promise<net.Socket> {
  const where = await listen((socket) => workers[worker]?.serve(socket, request, from));
  const client = net.connect(where);
  open.add(client);
  client.on('error', () => undefined);
  await once(client, 'connect');
  return client;
}

async function closed(socket: net.Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
}

function session(worker: number, upstream: Address, client = 'somebody'): () => void {
  const found = workers[worker];
  if (!found) throw new Error('no such worker');
  return found.sessions.add(key, { upstream, client, policy: undefined });
}

test.each([
  ['its own', 0],
  ['another', 1],
])('a request for a session of %s worker reaches the pod as it came', async (_name, owner) => {
  const { upstream, got } = await pod();
  session(owner, upstream);
  await closed(await cancelAt(0));
  expect(got).toEqual([request.toString('hex')]);
});

test('the client is told by the end, and only when the pod is done', async () => {
  const asked = Promise.withResolvers<net.Socket>();
  session(1, await listen((socket) => socket.once('data', () => asked.resolve(socket))));
  const client = await cancelAt(0);
  const database = await asked.promise;
  let over = false;
  const ended = closed(client).then(() => (over = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(over).toBe(false);
  database.end();
  await ended;
});

test('an unknown key, and one whose session is over, end in silence', async () => {
  const { upstream, got } = await pod();
  session(1, upstream)();
  await closed(await cancelAt(0));
  expect(got).toEqual([]);
});

test('a client that does not wait for the end has its query cancelled all the same', async () => {
  const took = Promise.withResolvers<void>();
  session(1, await listen((socket) => socket.once('data', () => took.resolve())));
  (await cancelAt(0)).destroy();
  await took.promise;
});

test('a pod that gives out the key of another captures nothing', async () => {
  const [honest, thief] = [await pod(), await pod()];
  session(0, honest.upstream, me);
  session(1, thief.upstream, '198.51.100.7');
  await closed(await cancelAt(1));
  expect(honest.got).toHaveLength(1);
  await closed(await cancelAt(1, '203.0.113.1'));
  expect(honest.got).toHaveLength(1);
  expect(thief.got).toEqual([]);
});

test('a pod that is gone, one that never closes, and a parent that never answers', async () => {
  const end = session(0, { host: '127.0.0.1', port: 1 });
  await closed(await cancelAt(0));
  end();
  const asked = Promise.withResolvers<void>();
  session(0, await listen((socket) => socket.once('data', () => asked.resolve())));
  const stuck = await cancelAt(0);
  await asked.promise;
  await clock.advance(limits.cancelMs + 1_000);
  await closed(stuck);
  parentHangs = true;
  const waiting = await cancelAt(0);
  await clock.advance(limits.cancelMs + 1_000);
  await closed(waiting);
});

test('a client that never ends is ended, with and without an owner', async () => {
  const { upstream } = await pod();
  for (const end of [session(0, upstream), () => undefined]) {
    const client = await cancelAt(0);
    client.allowHalfOpen = true;
    client.resume();
    await once(client, 'end');
    expect(client.closed).toBe(false);
    const gone = Promise.withResolvers<void>();
    const [ours] = [...open].filter((socket) => socket.remotePort === client.localPort);
    ours?.once('close', () => gone.resolve());
    await clock.advance(limits.drainMs + 1_000);
    await gone.promise;
    end();
  }
});

test('a flood asks no more than its share, others still have theirs, and the next second is another', async () => {
  const { upstream, got } = await pod();
  session(0, upstream);
  const share = limits.cancelsPerSecondPerAddressMax;
  // Who has a network of IPv6 is one client.
  const flood = Array.from({ length: share + 20 }, (_, n) => cancelAt(0, `2001:db8::${n}`));
  await Promise.all((await Promise.all(flood)).map(closed));
  expect(got).toHaveLength(share);
  await closed(await cancelAt(0, '198.51.100.1'));
  expect(got).toHaveLength(share + 1);
  await clock.advance(2_000);
  await closed(await cancelAt(0, '2001:db8::1'));
  expect(got).toHaveLength(share + 2);
});

test('all addresses together ask no more than the bound', async () => {
  const { upstream, got } = await pod();
  session(0, upstream);
  const most = limits.cancelsPerSecondMax;
  for (let at = 0; at < most + 10; at += 10) {
    const ten = Array.from({ length: 10 }, (_, n) => cancelAt(0, `10.0.${at}.${n}`));
    await Promise.all((await Promise.all(ten)).map(closed));
  }
  expect(got).toHaveLength(most);
}, 20_000);
