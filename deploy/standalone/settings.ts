import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { RedisAddress } from '#adapters/redis/address.ts';
import { BadRedisUrl, parseRedisUrl } from '#adapters/redis/address.ts';
import { isBlock } from '../../gateway/allowed.ts';
import type { AccessLogLevel } from '../../gateway/observe/access-log.ts';
import { accessLogLevels } from '../../gateway/observe/access-log.ts';

/** Settings of standalone, each an environment variable; README lists them with their meaning. */
export interface Settings {
  readonly dataDir: string;
  readonly domain: string;
  readonly httpsPort: number;
  readonly httpPort: number;
  readonly apiPort: number;
  readonly adminPassword: string | undefined;
  readonly runtime: 'auto' | 'process';
  /** `tapis`: refusals have the codes of the original service. */
  readonly statusCodes: 'http' | 'tapis';
  readonly requestsPerMinute: number;
  /** Where programs of the machine are looked for, as `PATH` has it. */
  readonly path: string;
  readonly neo4jJars: string | undefined;
  readonly tenant: string;
  /** Undefined: documents are in a file of the data directory. */
  readonly redis: RedisChoice | undefined;
  readonly publicHttpsPort: number;
  readonly secretKeyFile: string;
  readonly adminHost: string;
  readonly adminPort: number;
  readonly adminToken: string | undefined;
  readonly processUser: string | undefined;
  readonly gatewayWorkers: number;
  /** Addresses and CIDR blocks. */
  readonly trustedProxies: readonly string[];
  readonly proxyProtocol: boolean;
  readonly forwardedHeader: boolean;
  readonly hstsSeconds: number;
  readonly accessLog: AccessLogLevel;
  /** Nothing: stderr. */
  readonly accessLogFile: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface RedisChoice {
  readonly address: RedisAddress;
  readonly caFile: string | undefined;
  readonly waitReplicas: number;
}

/** A setting that cannot be used: its name, what was given, and what would do. */
export class BadSetting extends Error {
  override readonly name = 'BadSetting';
}

const domainPattern =
  /^(?=.{1,200}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

const text = (fallback: string): z.ZodType<string> =>
  z.string().min(1, 'is empty').default(fallback);
const portNumber = z.coerce
  .number('must be a port number')
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .max(65_535, 'must be at most 65535');

const redisUrl = z.string().transform((url, context) => {
  try {
    return parseRedisUrl(url);
  } catch (error) {
    if (!(error instanceof BadRedisUrl)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
});

const zEnvironment = z.object({
  PODGATE_DATA_DIR: text('.podgate'),
  PODGATE_DOMAIN: z
    .string()
    .regex(domainPattern, 'must be a host name in lower case, such as example.org')
    .default('localhost'),
  PODGATE_HTTPS_PORT: portNumber.default(8443),
  PODGATE_HTTP_PORT: portNumber.default(8080),
  PODGATE_API_PORT: portNumber.default(3000),
  PODGATE_ADMIN_PASSWORD: z.string().min(8, 'must have at least 8 characters').optional(),
  PODGATE_RUNTIME: z
    .enum(
      ['auto', 'process'],
      'must be auto or process (container engines and Kubernetes are not available yet)',
    )
    .default('auto'),
  PODGATE_COMPAT_STATUS: z.enum(['http', 'tapis'], 'must be http or tapis').default('http'),
  PODGATE_API_REQUESTS_PER_MINUTE: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(0, 'must not be negative')
    .default(6000),
  PODGATE_NEO4J_JARS: z.string().min(1, 'is empty').optional(),
  PATH: z.string().default(''),
  PODGATE_TENANT: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -, starting with a letter')
    .default('default'),
  PODGATE_REDIS_URL: redisUrl.optional(),
  PODGATE_REDIS_CA_FILE: z.string().min(1, 'is empty').optional(),
  PODGATE_REDIS_WAIT_REPLICAS: z.coerce
    .number('must be a number of replicas')
    .int('must be a whole number')
    .min(0, 'must not be negative')
    .max(10, 'must be at most 10')
    .optional(),
  PODGATE_PUBLIC_HTTPS_PORT: portNumber.optional(),
  PODGATE_SECRET_KEY_FILE: z.string().min(1, 'is empty').optional(),
  PODGATE_ADMIN_HOST: text('127.0.0.1'),
  PODGATE_ADMIN_PORT: portNumber.default(9100),
  PODGATE_ADMIN_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{16,}$/, 'must have at least 16 characters, ASCII without spaces')
    .optional(),
  PODGATE_PROCESS_USER: z.string().min(1, 'is empty').optional(),
  PODGATE_GATEWAY_WORKERS: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(256, 'must be at most 256')
    .default(availableParallelism()),
  PODGATE_TRUSTED_PROXIES: z
    .string()
    .default('')
    .transform((list) => list.split(/[\s,]+/).filter((block) => block !== ''))
    .refine(
      (blocks) => blocks.every(isBlock),
      'must be addresses or CIDR blocks with commas between, such as 10.0.0.0/8,2001:db8::1',
    ),
  PODGATE_PROXY_PROTOCOL: z.enum(['off', 'on'], 'must be off or on').default('off'),
  PODGATE_FORWARDED_HEADER: z.enum(['off', 'on'], 'must be off or on').default('off'),
  PODGATE_HSTS_SECONDS: z.coerce
    .number('must be a number of seconds')
    .int('must be a whole number of seconds')
    .min(0, 'must not be negative')
    .max(63_072_000, 'must be at most 63072000 (two years)')
    .default(0),
  PODGATE_ACCESS_LOG: z.enum(accessLogLevels, 'must be all, errors or off').default('errors'),
  PODGATE_ACCESS_LOG_FILE: z.string().min(1, 'is empty').optional(),
  PODGATE_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error')
    .default('warn'),
});

const secrets = new Set(['PODGATE_ADMIN_PASSWORD', 'PODGATE_ADMIN_TOKEN', 'PODGATE_REDIS_URL']);

/** Reads and checks the environment; throws `BadSetting` that names the first variable at fault. */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>>,
  isRoot: boolean,
): Settings {
  refuseUnknown(environment);
  const parsed = zEnvironment.safeParse(environment);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const name = String(issue?.path[0]);
    // A secret is never repeated, not even a bad one.
    const given = secrets.has(name) ? '' : ` (is "${environment[name] ?? ''}")`;
    throw new BadSetting(`${name} ${issue?.message ?? 'is not valid'}${given}`);
  }
  const values = parsed.data;
  refuseSharedPorts(values);
  refuseProxiesOfNobody(values);
  const dataDir = resolve(values.PODGATE_DATA_DIR);
  return {
    dataDir,
    domain: values.PODGATE_DOMAIN,
    httpsPort: values.PODGATE_HTTPS_PORT,
    httpPort: values.PODGATE_HTTP_PORT,
    apiPort: values.PODGATE_API_PORT,
    adminPassword: values.PODGATE_ADMIN_PASSWORD,
    runtime: values.PODGATE_RUNTIME,
    statusCodes: values.PODGATE_COMPAT_STATUS,
    requestsPerMinute: values.PODGATE_API_REQUESTS_PER_MINUTE,
    path: values.PATH,
    neo4jJars: values.PODGATE_NEO4J_JARS,
    tenant: values.PODGATE_TENANT,
    redis: redisChoice(values),
    publicHttpsPort: values.PODGATE_PUBLIC_HTTPS_PORT ?? values.PODGATE_HTTPS_PORT,
    secretKeyFile: resolve(values.PODGATE_SECRET_KEY_FILE ?? `${dataDir}/secret.key`),
    adminHost: values.PODGATE_ADMIN_HOST,
    adminPort: values.PODGATE_ADMIN_PORT,
    adminToken: values.PODGATE_ADMIN_TOKEN,
    // Databases refuse to run as root, and a pod has no business being it.
    processUser: values.PODGATE_PROCESS_USER ?? (isRoot ? 'nobody' : undefined),
    gatewayWorkers: values.PODGATE_GATEWAY_WORKERS,
    trustedProxies: values.PODGATE_TRUSTED_PROXIES,
    proxyProtocol: values.PODGATE_PROXY_PROTOCOL === 'on',
    forwardedHeader: values.PODGATE_FORWARDED_HEADER === 'on',
    hstsSeconds: values.PODGATE_HSTS_SECONDS,
    accessLog: values.PODGATE_ACCESS_LOG,
    accessLogFile: values.PODGATE_ACCESS_LOG_FILE ? resolve(values.PODGATE_ACCESS_LOG_FILE) : '',
    logLevel: values.PODGATE_LOG_LEVEL,
  };
}

/** A misspelt setting would be ignored in silence and surprise its user later. */
function refuseUnknown(environment: Readonly<Record<string, string | undefined>>): void {
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('PODGATE_') || Object.hasOwn(zEnvironment.shape, name)) continue;
    if (name.startsWith('PODGATE_TEST_')) continue;
    throw new BadSetting(`${name} is no setting of Podgate: README lists them`);
  }
}

/** What is said of a Redis must be of one that is used. */
function redisChoice(values: z.infer<typeof zEnvironment>): RedisChoice | undefined {
  const {
    PODGATE_REDIS_URL: address,
    PODGATE_REDIS_CA_FILE: caFile,
    PODGATE_REDIS_WAIT_REPLICAS: waitReplicas,
  } = values;
  if (caFile !== undefined && !address?.tls) {
    throw new BadSetting('PODGATE_REDIS_CA_FILE is set: PODGATE_REDIS_URL must begin with rediss');
  }
  if (waitReplicas !== undefined && !address) {
    throw new BadSetting('PODGATE_REDIS_WAIT_REPLICAS is set: PODGATE_REDIS_URL must be as well');
  }
  return address && { address, caFile: caFile && resolve(caFile), waitReplicas: waitReplicas ?? 0 };
}

/** Without trusted sources no connection could carry the header, and all would be as with `off`. */
function refuseProxiesOfNobody(values: z.infer<typeof zEnvironment>): void {
  if (values.PODGATE_PROXY_PROTOCOL === 'off' || values.PODGATE_TRUSTED_PROXIES.length > 0) return;
  throw new BadSetting(
    'PODGATE_PROXY_PROTOCOL is "on": name the sources in PODGATE_TRUSTED_PROXIES',
  );
}

function refuseSharedPorts(values: z.infer<typeof zEnvironment>): void {
  const users = new Map<number, string>();
  for (const name of [
    'PODGATE_HTTPS_PORT',
    'PODGATE_HTTP_PORT',
    'PODGATE_API_PORT',
    'PODGATE_ADMIN_PORT',
  ] as const) {
    const other = users.get(values[name]);
    if (other) throw new BadSetting(`${name} is ${values[name]}, which ${other} uses already`);
    users.set(values[name], name);
  }
}
