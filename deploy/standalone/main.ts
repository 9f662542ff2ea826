import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { certificates } from '#contracts/certificate.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { openSqliteStore } from '#adapters/sqlite/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { createLog } from '#adapters/system/log.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { startApi } from '../../api/api.ts';
import { ensureUser, hasUser } from '../../api/auth/users.ts';
import { startCerts } from '../../certs/certs.ts';
import { startController } from '../../controller/controller.ts';
import { createProcessRuntime } from '../../controller/runtime/process/runtime.ts';
import { startGateway } from '../../gateway/gateway.ts';
import { startAdmin } from './admin.ts';
import { banner } from './banner.ts';
import { createDemoPod, makePassword, passwordFile } from './first-start.ts';
import type { Settings } from './settings.ts';
import { readSettings } from './settings.ts';
import { startProblem } from './start-problem.ts';

/** Standalone: api, controller, certs and the gateway's parent in one process, nothing to install. */

const isRoot = process.getuid?.() === 0;
// Orchestrators grant 10 s between SIGTERM and SIGKILL; pods get most of it.
const stopDeadlineMs = 9_500;
const podsDeadlineMs = 6_000;

async function start(settings: Settings, stack: AsyncDisposableStack): Promise<void> {
  const clock = systemClock;
  const random = systemRandom;
  const log = createLog({ level: settings.logLevel, destination: 2 });
  const { tenant, domain, publicHttpsPort, dataDir } = settings;
  const holder = `standalone-${process.pid}`;

  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const store = openSqliteStore(join(dataDir, 'podgate.db'));
  stack.defer(() => store.close());
  const sealer = openSealer(settings.secretKeyFile);
  const leases = new MemoryLeases(clock);
  const routes = new MemoryRouteBus();
  const logs = new MemoryLogExchange();
  const ports = { store, sealer, clock, random, leases, routes, logs, log };

  const certs = await startCerts(ports, { domain, holder });
  stack.defer(() => certs.stop());
  const caFile = join(dataDir, 'ca.pem');
  await writeFile(caFile, certs.rootPem, { mode: 0o644 });

  const password = await ensureAdmin(ports, settings);
  const api = await startApi(ports, {
    tenant,
    domain,
    host: '127.0.0.1',
    port: settings.apiPort,
    publicHttpsPort,
    rootPem: certs.rootPem,
    runtime: settings.runtime,
  });
  stack.defer(() => api.stop());

  const gateway = await startGateway(
    { ...ports, certificates: certificates(store) },
    {
      id: holder,
      domain,
      httpsPort: settings.httpsPort,
      httpPort: settings.httpPort,
      publicHttpsPort,
      workers: settings.gatewayWorkers,
      dataDir,
      api: { host: '127.0.0.1', port: api.port },
    },
  );
  stack.defer(() => gateway.stop());

  const parts = [
    { name: 'certs', ready: () => certs.ready() },
    { name: 'gateway', ready: () => gateway.ready() },
    { name: 'controller', ready: () => controller?.ready() ?? false },
  ];
  let controller: Awaited<ReturnType<typeof startController>> | undefined;
  const admin = await startAdmin(parts, { host: settings.adminHost, port: settings.adminPort });
  stack.defer(() => admin.stop());

  // Last, when every port is ours: from here on processes are started.
  const runtime = await createProcessRuntime({
    dataDir,
    user: settings.processUser,
    clock,
    random,
    log,
  });
  stack.defer(() => runtime.stopAll(podsDeadlineMs));
  const running = await startController({ ...ports, runtime }, { domain, holder });
  controller = running;
  stack.defer(() => running.stop());

  if (password.first) await createDemoPod(`http://127.0.0.1:${api.port}`, password.text);
  process.stdout.write(
    banner({
      domain,
      publicHttpsPort,
      httpsPort: settings.httpsPort,
      apiPort: api.port,
      caFile,
      passwordFile: password.file,
    }),
  );
}

/** The admin's password: the operator's, else one made at the first start and kept in a file. */
async function ensureAdmin(
  ports: Parameters<typeof ensureUser>[0] & Parameters<typeof startApi>[0],
  { tenant, dataDir, adminPassword }: Settings,
): Promise<{ first: boolean; text: string; file: string | undefined }> {
  const file = join(dataDir, 'admin-password');
  const first = !(await hasUser(ports, tenant, 'admin'));
  const user = { tenant, username: 'admin', admin: true };
  if (adminPassword !== undefined) {
    await ensureUser(ports, { ...user, password: adminPassword });
    await passwordFile.remove(file);
    return { first, text: adminPassword, file: undefined };
  }
  const kept = await passwordFile.read(file);
  if (!first) return { first, text: '', file: kept === undefined ? undefined : file };
  const text = kept ?? makePassword(ports.random.bytes(18));
  if (kept === undefined) await passwordFile.write(file, text);
  await ensureUser(ports, { ...user, password: text });
  return { first, text, file };
}

async function main(): Promise<void> {
  const settings = readSettings(process.env, isRoot);
  // Nothing that we start may inherit it.
  delete process.env['PODGATE_ADMIN_PASSWORD'];
  const stack = new AsyncDisposableStack();
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    setTimeout(() => process.exit(1), stopDeadlineMs).unref();
    stopping ??= stack.disposeAsync();
    return stopping;
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
    });
  }
  try {
    await start(settings, stack);
  } catch (error) {
    await stop();
    throw error;
  }
}

try {
  await main();
} catch (error) {
  console.error(`podgate: ${startProblem(error, process.env) ?? String((error as Error).stack)}`);
  process.exit(1);
}
