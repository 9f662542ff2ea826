import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

/** Where an engine answers. Always on this machine, because ports of pods are on its loopback. */
export type EngineAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

export class BadEngineAddress extends Error {
  override readonly name = 'BadEngineAddress';
}

/** Reads `DOCKER_HOST`: `unix://<path>`, or `tcp://<loopback>:<port>`. Throws `BadEngineAddress`. */
export function parseEngineAddress(text: string): EngineAddress {
  const [, path] = /^unix:\/\/(\/.+)$/.exec(text) ?? [];
  if (path !== undefined) return { socketPath: path };
  const [, host = '', port = ''] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(text) ?? [];
  if (isLoopback(host)) return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
  throw new BadEngineAddress(
    'must be unix:///path or tcp://127.0.0.1:port: pods are reached on the loopback of their engine',
  );
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));

/** Sockets to try, in the order of preference: Docker's, Podman's of the system, Podman's own. */
export function usualSockets(runtimeDir: string | undefined): EngineAddress[] {
  const paths = ['/var/run/docker.sock', '/run/podman/podman.sock'];
  if (runtimeDir) paths.push(join(runtimeDir, 'podman/podman.sock'));
  return paths.filter((path) => existsSync(path)).map((socketPath) => ({ socketPath }));
}

/** As it is written in `DOCKER_HOST`. */
export const describeAddress = (address: EngineAddress): string =>
  'socketPath' in address
    ? `unix://${address.socketPath}`
    : `tcp://${address.host}:${address.port}`;
