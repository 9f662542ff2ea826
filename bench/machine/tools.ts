import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';

/** Programs from outside, by the file that must be there. */
const tools = {
  nginx: { file: 'nginx', apt: 'nginx-light', version: ['-v'] },
  'nginx-stream': {
    file: '/usr/lib/nginx/modules/ngx_stream_module.so',
    apt: 'libnginx-mod-stream',
    version: [],
  },
  haproxy: { file: 'haproxy', apt: 'haproxy', version: ['-v'] },
  caddy: { file: 'caddy', apt: 'caddy', version: ['version'] },
  wrk: { file: 'wrk', apt: 'wrk', version: ['-v'] },
  h2load: { file: 'h2load', apt: 'nghttp2-client', version: ['--version'] },
  curl: { file: 'curl', apt: 'curl', version: ['--version'] },
  openssl: { file: 'openssl', apt: 'openssl', version: ['version'] },
  pgbench: { file: 'pgbench', apt: 'postgresql-15', version: ['--version'] },
  'redis-server': { file: 'redis-server', apt: 'redis-server', version: ['--version'] },
  'nats-server': { file: 'nats-server', apt: 'nats-server', version: ['--version'] },
  podman: { file: 'podman', apt: 'podman', version: ['--version'] },
  taskset: { file: 'taskset', apt: 'util-linux', version: [] },
} as const;

export type Tool = keyof typeof tools;

const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The file of a program, which Debian may keep out of an ordinary PATH. */
function find(tool: Tool): string | undefined {
  const { file } = tools[tool];
  if (file.startsWith('/')) return existsSync(file) ? file : undefined;
  return folders.map((folder) => `${folder}/${file}`).find((path) => existsSync(path));
}

/** Throws when the program is missing. */
export function pathOf(tool: Tool): string {
  const path = find(tool);
  if (path === undefined) throw new Error(missing([tool]));
  return path;
}

/** What to tell a person who lacks some of these programs; empty when all are there. */
export function missing(wanted: readonly Tool[]): string {
  const lacking = wanted.filter((tool) => find(tool) === undefined);
  if (lacking.length === 0) return '';
  const packages = [...new Set(lacking.map((tool) => tools[tool].apt))];
  return `missing: ${lacking.join(', ')}. On Debian: apt-get install --no-install-recommends ${packages.join(' ')}`;
}

/** One line per program: what it says of its version. */
export function versions(wanted: readonly Tool[]): string[] {
  return wanted.flatMap((tool) => {
    const path = find(tool);
    const { version } = tools[tool];
    if (path === undefined || version.length === 0) return [];
    return [firstLine(path, version)];
  });
}

function firstLine(path: string, argv: readonly string[]): string {
  // wrk says its version and complains; nginx says it on the other stream.
  const script = '"$0" "$@" 2>&1 | head -1';
  const out = execFileSync('sh', ['-c', script, path, ...argv], { encoding: 'utf8' }).trim();
  const name = path.slice(path.lastIndexOf('/') + 1);
  return out.toLowerCase().includes(name) ? out : `${name} ${out}`;
}

/** The machine in one line. */
export const machine = (): string =>
  `${os.cpus().length} × ${os.cpus()[0]?.model ?? 'unknown CPU'}, ` +
  `${(os.totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${os.release()}, Node ${process.versions.node}`;
