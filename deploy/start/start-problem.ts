/** Errors of starting that a setting can mend. */
interface SystemError {
  readonly code?: string;
  readonly port?: number;
  /** Where we could not listen; `hostname` when it is a name that leads nowhere. */
  readonly address?: string;
  readonly hostname?: string;
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
  if (!(error instanceof Error)) return undefined;
  return namedProblem(error) ?? systemProblem(error, environment);
}

/** Errors of ours say what is wrong; some need the setting's name in front. */
function namedProblem({ name, message }: Error): string | undefined {
  switch (name) {
    case 'BadSetting':
    case 'StoreDamaged':
    case 'BadKeyFile':
      return message;
    case 'StoreUnavailable':
    case 'WriteOutcomeUnknown':
    case 'UnsafeRedis':
      return `PODGATE_REDIS_URL: ${message}`;
    case 'StoreInUse':
      return 'PODGATE_DATA_DIR is in use by another Podgate: stop that one, or give this one a directory of its own';
    case 'SealBroken':
      return `PODGATE_SECRET_KEY_FILE holds another key than the one this data was written with: ${message}`;
    case 'UnknownUser':
      return `PODGATE_PROCESS_USER: ${message}`;
    default:
      return undefined;
  }
}

const directoryCodes = new Set('EACCES EROFS ENOTDIR EEXIST EPERM ENOSPC ENOENT'.split(' '));

function systemProblem(
  { code = '', port, address, hostname, message }: SystemError,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (port !== undefined) {
    const setting = `${portSetting(port, environment)} is ${port}`;
    if (code === 'EADDRINUSE')
      return `${setting}, which another program listens on: choose another`;
    if (code === 'EACCES')
      return `${setting}, which this user may not listen on: choose one above 1023`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    const name = hostSetting(address ?? hostname, environment);
    return name && `${name} is no address of this machine (${message})`;
  }
  return directoryCodes.has(code) ? `PODGATE_DATA_DIR cannot be used: ${message}` : undefined;
}

/** The API is the first to listen, so of two that are the same it is the one. */
function hostSetting(
  host: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (host === undefined) return undefined;
  return ['PODGATE_API_HOST', 'PODGATE_ADMIN_HOST'].find((name) => environment[name] === host);
}

function portSetting(
  port: number,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  for (const [name, fallback] of Object.entries(portDefaults)) {
    if (Number(environment[name] ?? fallback) === port) return name;
  }
  // Of programs that run alone, each has a default of its own.
  return environment['PODGATE_ADMIN_PORT'] === undefined ? 'PODGATE_ADMIN_PORT' : 'a port';
}
