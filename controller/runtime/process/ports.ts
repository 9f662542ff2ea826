import { createServer } from 'node:net';
import type { Server } from 'node:net';
import type { Random } from '#contracts/random.ts';
import { dial } from '../dial.ts';
import { errorCode } from '../error-code.ts';

// Below the range from which Linux and macOS take ports of outgoing connections, so that none of
// those takes the port between our look and the program's bind.
const rangeStart = 20_000;
const rangeEnd = 32_768;
const attemptsMax = 200;
const connectMs = 1_000;

class NoFreePort extends Error {
  override readonly name = 'NoFreePort';
}

/** `count` loopback ports on which nothing listens now and that are not in `taken`. */
export async function freePorts(
  count: number,
  taken: ReadonlySet<number>,
  random: Random,
): Promise<number[]> {
  const found: number[] = [];
  for (let attempt = 0; found.length < count; attempt += 1) {
    if (attempt === attemptsMax) throw new NoFreePort(`no free port after ${attemptsMax} attempts`);
    const port = rangeStart + Math.floor(random.fraction() * (rangeEnd - rangeStart));
    if (!taken.has(port) && !found.includes(port) && (await isFree(port))) found.push(port);
  }
  return found;
}

/** Where something accepts connections on this loopback port: the host, or undefined. */
export async function listeningHost(port: number): Promise<string | undefined> {
  for (const host of ['127.0.0.1', '::1']) {
    const dialled = await dial({ host, port, timeoutMs: connectMs, holdMs: 0 });
    if (dialled === 'accepted') return host;
  }
  return undefined;
}

/** Free on both families: a program may choose either. */
async function isFree(port: number): Promise<boolean> {
  return (await canBind('127.0.0.1', port)) && (await canBind('::1', port));
}

async function canBind(host: string, port: number): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, { host, port });
    return true;
  } catch (error) {
    // A machine without IPv6 has nobody on it.
    return ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errorCode(error));
  } finally {
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
}

const listen = (server: Server, address: { host: string; port: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject).listen({ ...address, exclusive: true }, resolve);
  });
