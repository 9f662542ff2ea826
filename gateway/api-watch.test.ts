import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Address } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { askHealth, watchApis } from './api-watch.ts';

const apis = [1, 2, 3].map((port): Address => ({ host: 'api', port }));
const ending: (() => void)[] = [];
afterEach(() => {
  for (const end of ending.splice(0)) end();
});

async function listen(accept: (socket: net.Socket) => void): Promise<Address> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    ending.push(() => socket.destroy());
    accept(socket);
  });
  ending.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
}

describe('of several apis', () => {
  test('the one in use is kept while it answers, and then the next one that does', async () => {
    const clock = new ManualClock();
    const answering = new Set([2, 3]);
    const used: number[] = [];
    const abort = new AbortController();
    ending.push(() => abort.abort());
    const ask = async ({ port }: Address): Promise<boolean> => answering.has(port);
    void watchApis(apis, { clock, ask }, ({ port }) => used.push(port), abort.signal);
    await clock.advance(0);
    expect(used).toEqual([2]);
    answering.add(1);
    await clock.advance(5_000);
    expect(used).toEqual([2]);
    answering.clear();
    await clock.advance(5_000);
    expect(used).toEqual([2]);
    answering.add(1);
    await clock.advance(1_000);
    expect(used).toEqual([2, 1]);
  });
});

describe('an api answers', () => {
  test('when it speaks HTTP', async () => {
    const address = await listen((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    expect(await askHealth(systemClock)(address)).toBe(true);
  });

  test.each([
    ['takes the connection and says nothing', () => undefined],
    ['speaks something else', (socket: net.Socket) => socket.write('hello\r\n')],
    ['hangs up', (socket: net.Socket) => socket.destroy()],
  ])('not when it %s', async (_name, accept) => {
    const address = await listen(accept);
    expect(await askHealth(systemClock)(address)).toBe(false);
  });

  test('not when nobody is there', async () => {
    expect(await askHealth(systemClock)({ host: '127.0.0.1', port: 1 })).toBe(false);
  });
});
