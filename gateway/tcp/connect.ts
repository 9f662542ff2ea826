import net from 'node:net';
import type { Address } from '#contracts/route.ts';
import type { Deadlines } from '../deadlines.ts';
import type { Limits } from '../limits.ts';
import { sslRequest } from './postgres.ts';

export interface TcpContext {
  readonly deadlines: Deadlines;
  readonly limits: Limits;
}

/** Connects to a pod in `upstreamConnectMs`, or calls back with nothing. */
export function connectPod(
  address: Address,
  context: TcpContext,
  done: (pod: net.Socket | undefined) => void,
): void {
  const { host, port } = address;
  const pod = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
  pod.on('error', () => undefined);
  const settle = within(pod, context, done);
  pod.once('connect', () => settle(true));
}

/**
 * Asks a Postgres for TLS, as its client asked us, and calls back with whether it agrees. One that
 * says more than the one byte says it before it is encrypted, and is not listened to.
 */
export function requestTls(
  pod: net.Socket,
  context: TcpContext,
  done: (pod: net.Socket | undefined) => void,
): void {
  const settle = within(pod, context, done);
  pod.once('data', (bytes: Buffer) => settle(bytes.length === 1 && bytes[0] === agreed));
  pod.once('end', () => settle(false));
  pod.write(sslRequest);
}

const agreed = 0x53; // S

/** Calls back once: with the socket if it is settled well in time, else with nothing, and it is closed. */
function within(
  pod: net.Socket,
  { deadlines, limits }: TcpContext,
  done: (pod: net.Socket | undefined) => void,
): (well: boolean) => void {
  let open = true;
  const settle = (well: boolean): void => {
    if (!open) return;
    open = false;
    deadlines.delete(deadline);
    pod.off('close', failed);
    if (!well) pod.destroy();
    done(well ? pod : undefined);
  };
  const failed = (): void => settle(false);
  const deadline = { deadlineMs: deadlines.nowMs + limits.upstreamConnectMs, expire: failed };
  deadlines.add(deadline);
  pod.once('close', failed);
  return settle;
}
