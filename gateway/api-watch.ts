import net from 'node:net';
import type { Clock } from '#contracts/clock.ts';
import type { Address } from '#contracts/route.ts';

const lookEveryMs = 1_000;
const answerMs = 1_000; // one that takes longer for so little is no better than none

/** Whether the API at this address answers that it is there. */
export type Ask = (address: Address) => Promise<boolean>;

/**
 * Which of several apis this gateway sends requests to: the one it has, as long as that answers,
 * else the next one that does. While nobody answers it stays with the one it has.
 */
export async function watchApis(
  addresses: readonly Address[],
  { clock, ask }: { readonly clock: Clock; readonly ask: Ask },
  use: (address: Address) => void,
  signal: AbortSignal,
): Promise<void> {
  let current = 0;
  while (!signal.aborted && addresses.length > 1) {
    const found = await nextThatAnswers(addresses, current, ask);
    if (found !== undefined && found !== current) {
      current = found;
      const address = addresses[current];
      if (address) use(address);
    }
    await clock.sleep(lookEveryMs, signal).catch(() => undefined);
  }
}

async function nextThatAnswers(
  addresses: readonly Address[],
  current: number,
  ask: Ask,
): Promise<number | undefined> {
  for (let step = 0; step < addresses.length; step += 1) {
    const index = (current + step) % addresses.length;
    const address = addresses[index];
    if (address && (await ask(address))) return index;
  }
  return undefined;
}

/** Asks for its health over a connection of its own. */
export const askHealth =
  (clock: Clock): Ask =>
  ({ host, port }) =>
    new Promise((resolve) => {
      const socket = net.connect({ host, port });
      const answer = (found: boolean): void => {
        cancel();
        socket.destroy();
        resolve(found);
      };
      const cancel = clock.after(answerMs, () => answer(false));
      const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
      socket.on('error', () => answer(false));
      socket.on('close', () => answer(false));
      socket.once('connect', () => {
        socket.write(
          `GET /v3/healthcheck HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`,
        );
      });
      socket.once('data', (bytes) => answer(bytes.toString('latin1').startsWith('HTTP/1.1 ')));
    });
