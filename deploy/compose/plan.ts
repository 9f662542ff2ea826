import { join } from 'node:path';
import type { Random } from '#contracts/random.ts';

/** What runs: two servers that are not ours, and two of each program of ours. */

const kinds = ['certs', 'api', 'controller', 'gateway'] as const;
export type Program = (typeof kinds)[number];
export type ProgramName = `${Program}-${1 | 2}`;

const ports = [
  'redis',
  'nats',
  'api-1',
  'api-2',
  'https-1',
  'https-2',
  'http-1',
  'http-2',
  ...kinds.flatMap((program) => [`admin-${program}-1`, `admin-${program}-2`] as const),
] as const;
export type PortName = (typeof ports)[number];
export const portNames: readonly PortName[] = ports;

export interface ClusterTerms {
  /** Where everything is kept. */
  readonly folder: string;
  readonly ports: Readonly<Record<PortName, number>>;
  /** `redis-server` and `nats-server`: a path, or a name in PATH. */
  readonly servers: { readonly redis: string; readonly nats: string };
  /** With which each program is a user of NATS; they begin with a letter. */
  readonly natsPasswords: Readonly<Record<Program, string>>;
  /** Settings and variables that all programs get. */
  readonly environment: NodeJS.ProcessEnv;
  /** Where a program finds a server, when not at the server's own port. */
  readonly portFor?: (program: ProgramName, server: 'redis' | 'nats') => number;
}

/** New ones. */
export function makeNatsPasswords({ bytes }: Pick<Random, 'bytes'>): ClusterTerms['natsPasswords'] {
  const password = (): string => `p${bytes(18).toString('hex')}`;
  return { certs: password(), api: password(), controller: password(), gateway: password() };
}

/** One process: how it is started. */
export interface Member {
  readonly name: string;
  readonly argv: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** Where the controllers keep what runs. */
export const podsPlace = (folder: string): string => join(folder, 'controllers');

const root = join(import.meta.dirname, '..', '..');

/** The processes of a cluster on one machine, in no order that matters. */
export function membersOf(terms: ClusterTerms): Member[] {
  return [
    redisMember(terms),
    natsMember(terms),
    ...kinds.flatMap((program) => [
      programMember(terms, program, 1),
      programMember(terms, program, 2),
    ]),
  ];
}

/** As README asks for it: an answered write is on the disk. */
function redisMember({ folder, ports: { redis }, servers, environment }: ClusterTerms): Member {
  const place = ['--port', String(redis), '--bind', '127.0.0.1', '--dir', join(folder, 'redis')];
  const kept = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];
  const limits = ['--maxmemory-policy', 'noeviction'];
  const argv = [servers.redis, ...place, ...kept, ...limits];
  return { name: 'redis', argv, environment: bare(environment) };
}

/** Each program is a user of its own there. */
function natsMember(terms: ClusterTerms): Member {
  const { folder, ports: at, servers, environment, natsPasswords } = terms;
  const place = ['-a', '127.0.0.1', '-p', String(at.nats), '-js', '-sd', join(folder, 'nats')];
  const users = ['-c', join(root, 'deploy/nats/podgate.conf')];
  const passwords = Object.entries(natsPasswords).map(([program, password]) => [
    `PODGATE_NATS_${program.toUpperCase()}_PASSWORD`,
    password,
  ]);
  return {
    name: 'nats',
    argv: [servers.nats, ...place, ...users],
    environment: { ...bare(environment), ...Object.fromEntries(passwords) },
  };
}

/** What is not ours gets none of our settings and secrets. */
const bare = ({ PATH, HOME }: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({ PATH, HOME });

function programMember(terms: ClusterTerms, program: Program, number: 1 | 2): Member {
  const { folder, ports: at, natsPasswords } = terms;
  const name: ProgramName = `${program}-${number}`;
  const portFor = terms.portFor ?? ((_program, server) => at[server]);
  return {
    name,
    argv: [process.execPath, join(root, program, 'main.ts')],
    environment: {
      PODGATE_PUBLIC_HTTPS_PORT: String(at['https-1']),
      ...terms.environment,
      PODGATE_REDIS_URL: `redis://127.0.0.1:${portFor(name, 'redis')}`,
      PODGATE_NATS_URL: `nats://${program}:${natsPasswords[program]}@127.0.0.1:${portFor(name, 'nats')}`,
      PODGATE_SECRET_KEY_FILE: join(folder, 'secret.key'),
      // Pods run as processes of this machine: the controllers share them. A gateway's tables are its own.
      PODGATE_DATA_DIR: program === 'controller' ? podsPlace(folder) : join(folder, name),
      PODGATE_ADMIN_PORT: String(at[`admin-${name}`]),
      PODGATE_HTTPS_PORT: String(at[`https-${number}`]),
      PODGATE_HTTP_PORT: String(at[`http-${number}`]),
      PODGATE_API_PORT: String(at[`api-${number}`]),
      PODGATE_API_ADDRESS: `127.0.0.1:${at['api-1']},127.0.0.1:${at['api-2']}`,
    },
  };
}
