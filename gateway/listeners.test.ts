import { once } from 'node:events';
import net from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import type * as Module from './listeners.ts';

const name = '_createServerHandle';
const real: unknown = Reflect.get(net, name);
if (typeof real !== 'function') throw new Error(`net.${name} is gone`);

afterEach(() => {
  Reflect.set(net, name, real);
  vi.resetModules();
});

/** The module on a machine whose kernel refuses every IPv6 address with this code of libuv's. */
async function withIpv6Refused(code: number): Promise<typeof Module> {
  Reflect.set(net, name, (...where: unknown[]): unknown =>
    where[2] === 6 ? code : Reflect.apply(real as () => unknown, net, where),
  );
  return import('./listeners.ts');
}

test.each([
  ['EAFNOSUPPORT', -97],
  ['EADDRNOTAVAIL', -99],
  ['EINVAL', -22],
])(
  'where IPv6 is refused with %s, IPv4 is served, by each worker on the same port',
  async (_name, code) => {
    const { bindListeners } = await withIpv6Refused(code);
    const { ports, handles } = await bindListeners([0], 2, systemClock);
    const [port = 0] = ports;
    const servers = handles.flat().map(({ fd }) => net.createServer().listen({ fd }));
    await Promise.all(servers.map((server) => once(server, 'listening')));
    expect(servers.map((server) => server.address())).toEqual([
      { address: '0.0.0.0', family: 'IPv4', port },
      { address: '0.0.0.0', family: 'IPv4', port },
    ]);
    const client = net.connect(port, '127.0.0.1');
    await once(client, 'connect');
    client.destroy();
    for (const server of servers) server.close();
    for (const handle of handles.flat()) handle.close();
  },
);

test('a port below 1024 that this user may not have is no lack of IPv6', async () => {
  const { bindListeners, PortTaken } = await withIpv6Refused(-13);
  const refused = bindListeners([0], 1, systemClock);
  await expect(refused).rejects.toThrow(PortTaken);
  await expect(refused).rejects.toMatchObject({ code: 'EACCES' });
});
