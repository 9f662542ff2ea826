import type tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, GatewayProcesses } from '../test/processes.ts';

let edge: GatewayProcesses;

beforeAll(async () => {
  edge = await GatewayProcesses.start(['a']);
}, 60_000);
afterAll(() => edge.stop());

/** A connection that is used all the while, until it breaks. */
interface Visitor {
  /** The one that serves it. */
  readonly worker: string;
  turns: number;
  broken: boolean;
}

function visit(worker: string, turn: () => Promise<unknown>, stop: AbortSignal): Visitor {
  const visitor = { worker, turns: 0, broken: false };
  const go = async (): Promise<void> => {
    while (!stop.aborted) {
      await turn();
      visitor.turns += 1;
    }
  };
  go().catch(() => (visitor.broken = true));
  return visitor;
}

const echoed = (socket: tls.TLSSocket): Promise<void> =>
  new Promise((resolve, reject) => {
    const heard = (): void => {
      socket.off('close', gone);
      resolve();
    };
    const gone = (): void => {
      socket.off('data', heard);
      reject(new Error('the tunnel is gone'));
    };
    socket.once('data', heard).once('close', gone);
    socket.write('ping');
  });

/** Kept-alive connections and tunnels, of each at least this many at both workers. */
async function load(least: number, stop: AbortSignal): Promise<Visitor[]> {
  const visitors: Visitor[] = [];
  for (const kind of ['requests', 'tunnel'] as const) {
    const at = new Map<string, number>();
    await eventually(async () => {
      const socket = await edge.dial('a');
      const worker = await (kind === 'tunnel' ? edge.upgrade(socket) : edge.ask(socket));
      const turn = (): Promise<unknown> => (kind === 'tunnel' ? echoed(socket) : edge.ask(socket));
      visitors.push(visit(worker, turn, stop));
      at.set(worker, (at.get(worker) ?? 0) + 1);
      return at.size === 2 && Math.min(...at.values()) >= least;
    });
  }
  return visitors;
}

const names = (visitors: readonly Visitor[]): Set<string> =>
  new Set(visitors.map(({ worker }) => worker));

test('a worker that is killed under load takes only its own connections, and none that is queued', async () => {
  const stop = new AbortController();
  const visitors = await load(4, stop.signal);
  await eventually(() => visitors.every(({ turns }) => turns > 10));
  expect(visitors.filter(({ broken }) => broken)).toEqual([]);

  const [pid = 0] = edge.gateway.workerPids();
  process.kill(pid, 'SIGKILL');
  await eventually(() => !edge.gateway.workerPids().includes(pid));
  // Nobody accepts on its socket now: about half of these wait there for the next worker.
  expect(edge.gateway.workerPids()).toHaveLength(1);
  const queued = Promise.all(
    Array.from({ length: 40 }, async () => edge.ask(await edge.dial('a'))),
  );
  const during = visitors.map(({ turns }) => turns);
  const servedBy = new Set(await queued);
  await eventually(() => edge.gateway.ready());

  const lost = visitors.filter(({ broken }) => broken);
  const [killed = ''] = names(lost);
  expect(names(lost)).toEqual(new Set([killed]));
  expect(lost).toEqual(visitors.filter(({ worker }) => worker === killed));
  const others = visitors.filter(({ worker }) => worker !== killed);
  expect(names(others).size).toBe(1);
  expect(servedBy.size).toBe(2);
  expect(servedBy).not.toContain(killed);
  expect(servedBy).toContain(others[0]?.worker);

  // They went on while the other was replaced, and do so still.
  for (const [at, visitor] of visitors.entries()) {
    if (!visitor.broken) expect(visitor.turns).toBeGreaterThan(during[at] ?? 0);
  }
  const before = others.map(({ turns }) => turns);
  await eventually(() => others.every(({ turns }, at) => turns > (before[at] ?? 0) + 10));
  expect(others.filter(({ broken }) => broken)).toEqual([]);
  stop.abort();
}, 60_000);
