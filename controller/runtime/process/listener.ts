import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { ProcessName } from './proc.ts';
import { processesSince } from './proc.ts';
import { errorCode } from '../error-code.ts';

// proc_pid_net(5): TCP_LISTEN.
const listenState = '0A';

/**
 * Whether the socket that listens on `port` belongs to the program or something it started, as far
 * as that can be told. A stranger may take the port between our look and the program's bind, and
 * clients of the pod must not end up there. Only Linux tells; where it does not, the answer is yes.
 */
export function isOwnListener(port: number, program: ProcessName): boolean {
  if (process.platform !== 'linux') return true;
  const sockets = listeningSockets(port);
  if (sockets.size === 0) return true;
  // By age, not by descent: a program may put itself into the background, away from its parents.
  return processesSince(program).some((pid) => holds(pid, sockets));
}

function listeningSockets(port: number): Set<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const sockets = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readTable(table)) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(suffix) && fields[3] === listenState && fields[9])
        sockets.add(`socket:[${fields[9]}]`);
    }
  }
  return sockets;
}

function readTable(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n');
  } catch {
    return [];
  }
}

function holds(pid: number, sockets: ReadonlySet<string>): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => sockets.has(linkTarget(`${folder}/${fd}`)));
  } catch (error) {
    // A process that hides its files may be the program: it gets the benefit of the doubt.
    return errorCode(error) === 'EACCES';
  }
}

function linkTarget(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
