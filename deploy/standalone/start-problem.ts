import { BadSetting } from './settings.ts';

/** Errors of starting that a setting can mend. */
interface SystemError {
  readonly name?: string;
  readonly code?: string;
  readonly port?: number;
  readonly message: string;
}

const portDefaults: Readonly<Record<string, number>> = {
  PODGATE_HTTPS_PORT: 8443,
  PODGATE_HTTP_PORT: 8080,
  PODGATE_API_PORT: 3000,
  PODGATE_ADMIN_PORT: 9100,
};

/**
 * One line that names the setting to change, or undefined when no setting would help and the
 * stack is worth more.
 */
export function startProblem(
  error: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const { name, code, port, message } = error as SystemError;
  if (error instanceof BadSetting) return message;
  if (name === 'StoreInUse') {
    return `PODGATE_DATA_DIR is in use by another Podgate: stop that one, or give this one a directory of its own`;
  }
  if (name === 'StoreDamaged' || name === 'BadKeyFile') return message;
  if (name === 'UnknownUser') return `PODGATE_PROCESS_USER: ${message}`;
  if (port !== undefined && (code === 'EADDRINUSE' || name === 'PortTaken')) {
    return `${portSetting(port, environment)} is ${port}, which another program listens on: choose another port`;
  }
  if (port !== undefined && code === 'EACCES') {
    return `${portSetting(port, environment)} is ${port}, which this user may not listen on: choose one above 1023`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `PODGATE_ADMIN_HOST is no address of this machine (${message})`;
  }
  if (
    code &&
    ['EACCES', 'EROFS', 'ENOTDIR', 'EEXIST', 'EPERM', 'ENOSPC', 'ENOENT'].includes(code)
  ) {
    return `PODGATE_DATA_DIR cannot be used: ${message}`;
  }
  return undefined;
}

function portSetting(
  port: number,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  for (const [name, fallback] of Object.entries(portDefaults)) {
    if (Number(environment[name] ?? fallback) === port) return name;
  }
  return 'a port';
}
