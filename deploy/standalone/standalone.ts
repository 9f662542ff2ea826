import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { Part } from '#contracts/admin.ts';
import type { Clock } from '#contracts/clock.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryTrafficExchange } from '#adapters/memory/traffic-exchange.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Certs } from '../../certs/certs.ts';
import { startCerts } from '../../certs/certs.ts';
import { observeCerts } from '../../certs/metrics.ts';
import type { OperatorView } from '../../gateway/admin/operator.ts';
import { describeAddress } from '../../controller/runtime/engine/address.ts';
import { startController } from '../../controller/controller.ts';
import type { AdminPassword } from './first-start.ts';
import { createDemoPod, ensureAdmin } from './first-start.ts';
import { publicTerms } from '../start/certs.ts';
import { serveAdmin } from '../start/admin.ts';
import { serveApi } from '../start/api.ts';
import { serveGateway } from '../start/gateway.ts';
import { makeDataDir } from '../start/data-dir.ts';
import { openRuntime, readRegistries, settleRuntime } from '../start/runtime.ts';
import { openSystem } from '../start/system.ts';
import { openStore } from './open-store.ts';
import type { Settings } from './settings.ts';

const podsDeadlineMs = 6_000; // pods get most of the 10 s that a supervisor grants

/** What a person is told when it runs. */
export interface Running {
  readonly apiPort: number;
  readonly caFile: string;
  readonly password: AdminPassword;
  /** The engine that runs images other than the built-in ones. */
  readonly containers: string | null;
}

/**
 * Starts api, controller, certs and the gateway's parent in this process, on the embedded adapters
 * or, for documents and leases, on Redis.
 * What was started is put on `stack`, also when a later step fails.
 */
export async function startStandalone(
  given: Settings,
  stack: AsyncDisposableStack,
): Promise<Running> {
  // The api has to know what pods can run on as well.
  const settings = { ...given, runtime: await settleRuntime(given.runtime, given.data.dir) };
  const registries = readRegistries(settings.runtime);
  const { rootTemplates } = settings.runtime;
  const ports = await openPorts(settings, stack);
  const { site, data } = settings;
  const { holder } = ports;

  const certs = await startCerts(ports, {
    site,
    holder,
    others: publicTerms(settings, ports),
  });
  stack.defer(() => certs.stop());
  const caFile = join(data.dir, 'ca.pem');
  await writeFile(caFile, certs.rootPem, { mode: 0o644 });

  const password = await ensureAdmin(ports, settings);
  const api = await serveApi(ports, settings);
  const apiHost = localAddress(settings.api.host);
  stack.defer(() => api.stop());
  const gateway = await serveGateway(ports, settings, {
    id: holder,
    apis: [{ host: apiHost, port: api.port }],
  });
  stack.defer(() => gateway.stop());
  stack.defer(ports.traffic.serve(gateway.operator.traffic));
  const parts: Part[] = [
    ...ports.parts,
    { name: 'api', problem: () => api.problem() },
    { name: 'certs', problem: () => certs.problem() },
    { name: 'gateway', problem: () => gateway.operator.problem() },
  ];
  const shown = { parts, ...shownBy(gateway.operator, certs, ports.clock) };
  await serveAdmin(settings.admin, shown, stack);

  // Last, when every port is ours: from here on pods are started.
  const runtime = await openRuntime(ports, settings);
  stack.defer(() => runtime.stopAll(podsDeadlineMs));
  const controller = startController(
    { ...ports, runtime },
    { site, holder, registries, rootTemplates },
  );
  stack.defer(() => controller.stop());
  await controller.settled;
  parts.push({ name: 'controller', problem: () => controller.problem() });

  if (password.first) await createDemoPod(`http://${apiHost}:${api.port}`, password.text);
  const { kind, engine } = settings.runtime;
  const containers = kind === 'engine' && engine.address ? describeAddress(engine.address) : null;
  return { apiPort: api.port, caFile, password, containers };
}

const shownBy = (
  operator: Pick<OperatorView, 'endpoints' | 'observe'>,
  certs: Certs,
  clock: Clock,
) => ({
  endpoints: operator.endpoints,
  observe: (registry: Registry): void => {
    operator.observe(registry);
    observeCerts(
      registry,
      () => certs,
      () => clock.nowMs(),
    );
  },
});

/** Where we reach ourselves. */
const localAddress = (host: string): string =>
  host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;

async function openPorts(settings: Settings, stack: AsyncDisposableStack) {
  makeDataDir(settings.data.dir, 0o711);
  const system = openSystem(settings.log);
  return {
    ...system,
    ...(await openStore(settings, system, stack)),
    sealer: openSealer(settings.secrets.keyFile),
    routes: new MemoryRouteBus(),
    logs: new MemoryLogExchange(),
    traffic: new MemoryTrafficExchange(),
  };
}
