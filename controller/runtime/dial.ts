import { connect } from 'node:net';

/** What a try to connect shows: somebody accepts, nobody does, or it cannot be told from here. */
export type Dialled = 'accepted' | 'refused' | 'unknown';

interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  /**
   * How long a connection has to hold to count: a proxy of an engine accepts first and closes when
   * it finds nobody behind.
   */
  readonly holdMs: number;
}

/** Connects once and hangs up. */
export function dial({ host, port, timeoutMs, holdMs }: DialOptions): Promise<Dialled> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    let connected = false;
    const finish = (result: Dialled): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => {
      if (holdMs === 0) return finish('accepted');
      connected = true;
      socket.once('data', () => finish('accepted'));
      socket.once('end', () => finish('refused'));
      socket.setTimeout(holdMs);
    });
    socket.once('timeout', () => finish(connected ? 'accepted' : 'unknown'));
    socket.once('error', (error) => {
      const refused = connected || ('code' in error && error.code === 'ECONNREFUSED');
      finish(refused ? 'refused' : 'unknown');
    });
  });
}
