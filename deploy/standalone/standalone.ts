import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import type { Part } from '#contracts/admin.ts';
import { certificates } from '#contracts/certificate.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryTrafficExchange } from '#adapters/memory/traffic-exchange.ts';
import { startAdminServer } from '#adapters/system/admin-server.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { createLog } from '#adapters/system/log.ts';
import { observeProcess } from '#adapters/system/process-metrics.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import manifest from '../../package.json' with { type: 'json' };
import type { Api } from '../../api/api.ts';
import { startApi } from '../../api/api.ts';
import { startCerts } from '../../certs/certs.ts';
import { startController } from '../../controller/controller.ts';
import { runtimeByImage } from '../../controller/runtime/by-image.ts';
import { createProcessRuntime } from '../../controller/runtime/process/runtime.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { startGateway } from '../../gateway/gateway.ts';
import type { AdminPassword } from './first-start.ts';
import { createDemoPod, ensureAdmin } from './first-start.ts';
import { refuseUnwritable } from './access-log-file.ts';
import { machinePrograms } from './machine-programs.ts';
import { openStore } from './open-store.ts';
import type { Settings } from './settings.ts';

const host = '127.0.0.1';
const podsDeadlineMs = 6_000; // pods get most of the 10 s that a supervisor grants

/** What a person is told when it runs. */
export interface Running {
  readonly apiPort: number;
  readonly caFile: string;
  readonly password: AdminPassword;
}

/**
 * Starts api, controller, certs and the gateway's parent in this process, on the embedded adapters
 * or, for documents and leases, on Redis.
 * What was started is put on `stack`, also when a later step fails.
 */
export async function startStandalone(
  settings: Settings,
  stack: AsyncDisposableStack,
): Promise<Running> {
  const ports = await openPorts(settings, stack);
  const { site, data } = settings;
  const { holder } = ports;

  const certs = await startCerts(ports, { site, holder });
  stack.defer(() => certs.stop());
  const caFile = join(data.dir, 'ca.pem');
  await writeFile(caFile, certs.rootPem, { mode: 0o644 });

  const password = await ensureAdmin(ports, settings);
  const api = await serveApi(ports, settings, certs.rootPem);
  stack.defer(() => api.stop());
  const gateway = await serveGateway(ports, settings, { holder, api });
  stack.defer(() => gateway.stop());
  stack.defer(ports.traffic.serve(gateway.operator.traffic));
  const parts: Part[] = [
    ...ports.parts,
    { name: 'api', problem: () => api.problem() },
    { name: 'certs', problem: () => certs.problem() },
    { name: 'gateway', problem: () => gateway.operator.problem() },
  ];
  const registry = new Registry();
  observeProcess(registry, manifest.version);
  gateway.operator.observe(registry);
  const admin = await startAdminServer(settings.admin, {
    registry,
    parts,
    endpoints: gateway.operator.endpoints,
  });
  stack.defer(() => admin.stop());

  // Last, when every port is ours: from here on pods are started.
  const processes = await createProcessRuntime({
    ...ports,
    dataDir: data.dir,
    user: settings.runtime.processUser,
  });
  const runtime = runtimeByImage(processes, undefined);
  stack.defer(() => runtime.stopAll(podsDeadlineMs));
  const controller = await startController(
    { ...ports, runtime },
    { site, holder, registries: new Map() },
  );
  stack.defer(() => controller.stop());
  parts.push({ name: 'controller', problem: () => controller.problem() });

  if (password.first) await createDemoPod(`http://${host}:${api.port}`, password.text);
  return { apiPort: api.port, caFile, password };
}

async function openPorts(settings: Settings, stack: AsyncDisposableStack) {
  refuseUnwritable(settings.gateway.accessLogFile);
  mkdirSync(settings.data.dir, { recursive: true, mode: 0o711 });
  const system = {
    clock: systemClock,
    random: systemRandom,
    log: createLog({ level: settings.log.level, destination: 2 }),
  };
  return {
    ...system,
    ...(await openStore(settings, system, stack)),
    sealer: openSealer(settings.secrets.keyFile),
    routes: new MemoryRouteBus(),
    logs: new MemoryLogExchange(),
    traffic: new MemoryTrafficExchange(),
  };
}

type OpenPorts = Awaited<ReturnType<typeof openPorts>>;

const serveApi = (
  ports: OpenPorts,
  { site, api, runtime }: Settings,
  rootPem: string,
): Promise<Api> =>
  startApi(ports, {
    ...site,
    host,
    port: api.port,
    rootPem,
    runtime: runtime.kind,
    statusCodes: api.statusCodes,
    requestsPerMinute: api.requestsPerMinute,
    programs: machinePrograms(api.path, api.neo4jJars),
  });

const serveGateway = (
  ports: OpenPorts,
  { site, gateway, data }: Settings,
  { holder, api }: { readonly holder: string; readonly api: Api },
): Promise<Gateway> =>
  startGateway(
    { ...ports, certificates: certificates(ports.store) },
    {
      ...gateway,
      id: holder,
      domain: site.domain,
      publicHttpsPort: site.publicHttpsPort,
      dataDir: data.dir,
      api: { host, port: api.port },
    },
  );
