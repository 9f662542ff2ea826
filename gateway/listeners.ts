import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Clock } from '#contracts/clock.ts';

/** Another program listens on the port, or this user may not (`code` tells which). */
export class PortTaken extends Error {
  override readonly name = 'PortTaken';
  readonly port: number;
  readonly code: string;

  constructor(port: number, code: string) {
    super(`port ${port}: ${code}`);
    this.port = port;
    this.code = code;
  }
}

/** A bound socket that is handed down to a worker by its descriptor. */
export interface Handle {
  readonly fd: number;
  close(): void;
}

interface TcpHandle extends Handle {
  getsockname(out: { port?: number }): number;
}

// Flags of libuv's uv_tcp_bind.
const reusePort = 2;

/**
 * Node has no public way to bind without listening, which is what lets the sockets outlive the
 * workers. The function is old and used by node:cluster; a test pins what we need of it.
 */
type CreateServerHandle = (
  ...where: [address: string, port: number, addressType: 4 | 6, fd: number, flags: number]
) => TcpHandle | number;
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is in no declaration
const createServerHandle = Reflect.get(net, '_createServerHandle') as CreateServerHandle;

/** One socket of each port for each worker. */
export interface Listeners {
  readonly ports: readonly number[];
  /** By worker, then by port. */
  readonly handles: readonly (readonly Handle[])[];
}

/** How a kernel without IPv6, or with it switched off, refuses `::`. */
const withoutIpv6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

const triesMax = 10;
const tryAgainMs = 100; // the workers of a parent that was killed need a moment to go

/** Binds every port on IPv6 and IPv4. Port 0 picks a free one. Throws `PortTaken`. */
export async function bindListeners(
  wanted: readonly number[],
  workers: number,
  clock: Clock,
): Promise<Listeners> {
  const bound: Handle[][] = Array.from({ length: workers }, () => []);
  const ports: number[] = [];
  try {
    for (const port of wanted) {
      if (port !== 0) await refuseTaken(port, clock);
      let chosen = port;
      for (const handles of bound) {
        const handle = bind(chosen);
        handles.push(handle);
        chosen = portOf(handle);
      }
      ports.push(chosen);
    }
  } catch (error) {
    for (const handle of bound.flat()) handle.close();
    throw error;
  }
  return { ports, handles: bound };
}

/** `reusePort` would share the port with another program of this user without a word. */
async function refuseTaken(port: number, clock: Clock): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const code = await listenOnce(port);
    if (code === undefined) return;
    if (code !== 'EADDRINUSE' || attempt === triesMax) throw new PortTaken(port, code);
    await clock.sleep(tryAgainMs);
  }
}

/** Why nobody can listen on the port, or undefined. Binding alone does not tell: libuv defers it. */
function listenOnce(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, () => server.close(() => resolve(undefined)));
  });
}

function bind(port: number): TcpHandle {
  const both = createServerHandle('::', port, 6, -1, reusePort);
  if (typeof both !== 'number') return both;
  const code = getSystemErrorName(both);
  // Without IPv6 on this machine there is IPv4.
  if (!withoutIpv6.has(code)) throw new PortTaken(port, code);
  const v4 = createServerHandle('0.0.0.0', port, 4, -1, reusePort);
  if (typeof v4 === 'number') throw new PortTaken(port, getSystemErrorName(v4));
  return v4;
}

function portOf(handle: TcpHandle): number {
  const name: { port?: number } = {};
  handle.getsockname(name);
  return name.port ?? 0;
}
