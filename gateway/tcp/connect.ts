import type net from 'node:net';
import type { Address } from '#contracts/route.ts';
import type { Deadlines } from '../deadlines.ts';
import type { Limits } from '../limits.ts';
import type { Unreached } from '../pages/pages.ts';
import { PodSocket } from './pod-socket.ts';
import { sslRequest } from './postgres.ts';

export interface TcpContext {
  readonly deadlines: Deadlines;
  readonly limits: Limits;
}

/** The socket when all went well, else why not. */
type Done<Pod> = (pod: Pod | undefined, unreached: Unreached | undefined) => void;

/** Connects to a pod in `upstreamConnectMs`, or calls back with the reason. */
export function connectPod(address: Address, context: TcpContext, done: Done<PodSocket>): void {
  const pod = new PodSocket(address);
  pod.on('error', () => undefined);
  const settle = within(pod, context, done);
  pod.once('connect', () => settle(undefined));
}

/**
 * Asks a Postgres for TLS, as its client asked us, and calls back with whether it agrees. One that
 * says more than the one byte says it before it is encrypted, and is not listened to.
 */
export function requestTls<Pod extends net.Socket>(
  pod: Pod,
  context: TcpContext,
  done: Done<Pod>,
): void {
  const settle = within(pod, context, done);
  pod.once('data', (bytes: Buffer) => {
    settle(bytes.length === 1 && bytes[0] === agreed ? undefined : 'refused');
  });
  pod.once('end', () => settle('refused'));
  pod.write(sslRequest);
}

const agreed = 0x53; // S

/** Calls back once: with the socket if it is settled well in time, else with nothing, and it is closed. */
function within<Pod extends net.Socket>(
  pod: Pod,
  { deadlines, limits }: TcpContext,
  done: Done<Pod>,
): (unreached: Unreached | undefined) => void {
  let open = true;
  const settle = (unreached: Unreached | undefined): void => {
    if (!open) return;
    open = false;
    deadlines.delete(deadline);
    pod.off('close', failed);
    if (unreached) pod.destroy();
    done(unreached ? undefined : pod, unreached);
  };
  const failed = (): void => settle('refused');
  const deadline = {
    deadlineMs: deadlines.nowMs + limits.upstreamConnectMs,
    expire: (): void => settle('timed out'),
  };
  deadlines.add(deadline);
  pod.once('close', failed);
  return settle;
}
