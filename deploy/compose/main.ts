import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import type { ClusterTerms, PortName } from './plan.ts';
import { makeNatsPasswords, membersOf, portNames } from './plan.ts';
import { stopPods } from './stop-pods.ts';
import { Supervisor } from './supervisor.ts';

/**
 * `npm run cluster`: a whole cluster on this machine, on loopback: Redis, NATS, and two of each
 * program. What dies is started again; Ctrl-C stops all. Settings of the environment go to all.
 */

const folder = resolve(process.env['PODGATE_DATA_DIR'] ?? '.podgate-cluster');

/** The ports of README where they are free, else others. */
const wanted: Readonly<Partial<Record<PortName, number>>> = {
  'https-1': 8443,
  'https-2': 8444,
  'http-1': 8080,
  'http-2': 8081,
  'api-1': 3000,
  'api-2': 3001,
};

async function listenable(port: number): Promise<number | undefined> {
  const server = net.createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return undefined;
  }
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === 'object' ? address?.port : undefined;
}

async function choosePorts(): Promise<ClusterTerms['ports']> {
  const chosen: [PortName, number][] = [];
  for (const name of portNames) {
    const port = (await listenable(wanted[name] ?? 0)) ?? (await listenable(0));
    if (port === undefined) throw new Error('no port is free');
    chosen.push([name, port]);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- there is one for each name
  return Object.fromEntries(chosen) as ClusterTerms['ports'];
}

function adminPassword(): string {
  const given = process.env['PODGATE_ADMIN_PASSWORD'];
  if (given !== undefined) return given;
  const file = join(folder, 'admin-password');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const made = systemRandom.bytes(18).toString('base64url');
  writeFileSync(file, `${made}\n`, { mode: 0o600 });
  return made;
}

for (const name of ['redis', 'nats'])
  mkdirSync(join(folder, name), { recursive: true, mode: 0o711 });
const ports = await choosePorts();
const password = adminPassword();
const members = membersOf({
  folder,
  ports,
  servers: { redis: 'redis-server', nats: 'nats-server' },
  natsPasswords: makeNatsPasswords(systemRandom),
  environment: {
    ...process.env,
    PODGATE_ADMIN_PASSWORD: password,
    PODGATE_GATEWAY_WORKERS: process.env['PODGATE_GATEWAY_WORKERS'] ?? '1',
  },
});
const width = Math.max(...members.map(({ name }) => name.length));
const supervisor = new Supervisor(members, systemClock, (name, line) => {
  // What servers tell of themselves is of use when they do not start.
  if (!name.includes('-') && !/ended|cannot/.test(line)) return;
  process.stderr.write(`${name.padEnd(width)}  ${line}\n`);
});

async function end(): Promise<void> {
  await supervisor.stop();
  await stopPods(folder);
  process.exit(0);
}

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    void end();
  });
}
for (const name of supervisor.names) supervisor.start(name);

const domain = process.env['PODGATE_DOMAIN'] ?? 'localhost';
console.log(`
  A Podgate cluster is starting. Ctrl-C stops it.

    Gateways    https://${domain}:${ports['https-1']}/v3 and :${ports['https-2']}
    REST API    http://127.0.0.1:${ports['api-1']}/v3 and :${ports['api-2']}
    CA to trust http://127.0.0.1:${ports['api-1']}/ca.pem
    Password    user admin, ${process.env['PODGATE_ADMIN_PASSWORD'] === undefined ? `in ${join(folder, 'admin-password')}` : 'the one in PODGATE_ADMIN_PASSWORD'}
    Readiness   ${supervisor.names
      .filter((name) => name.includes('-'))
      .map((name) => `${name} http://127.0.0.1:${readinessPort(name)}/readyz`)
      .join('\n                ')}
`);

function readinessPort(name: string): number | undefined {
  const port = portNames.find((each) => each === `admin-${name}`);
  return port && ports[port];
}
