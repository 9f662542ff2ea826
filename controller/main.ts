import type { Registry } from 'prom-client';
import { openSealer } from '#adapters/system/sealer.ts';
import { admin } from '../deploy/settings/admin.ts';
import { data } from '../deploy/settings/data.ts';
import { kubernetes } from '../deploy/settings/kubernetes.ts';
import { log } from '../deploy/settings/log.ts';
import { nats } from '../deploy/settings/nats.ts';
import { redis } from '../deploy/settings/redis.ts';
import { runtime } from '../deploy/settings/runtime.ts';
import { sharedKey } from '../deploy/settings/shared-key.ts';
import { site } from '../deploy/settings/site.ts';
import { serveAdmin } from '../deploy/start/admin.ts';
import { openSharedBus } from '../deploy/start/bus.ts';
import { makeDataDir } from '../deploy/start/data-dir.ts';
import { instanceName, openSharedStore } from '../deploy/start/store.ts';
import { startPatiently } from '../deploy/start/patience.ts';
import { runProgram } from '../deploy/start/program.ts';
import { openRuntime, readRegistries } from '../deploy/start/runtime.ts';
import { openSystem } from '../deploy/start/system.ts';
import type { Controller } from './controller.ts';
import { startController } from './controller.ts';
import { observeLeading } from './metrics.ts';

/** The controller of a cluster. Of several one leads, and another takes over when it is gone. */
const groups = { site, data, sharedKey, admin: admin(9102), runtime, kubernetes, redis, nats, log };

await runProgram(process.env, groups, async (settings, life) => {
  makeDataDir(settings.data.dir, 0o711);
  const system = openSystem(settings.log);
  const sealer = openSealer(settings.sharedKey.file);
  const registries = readRegistries(settings.runtime);
  const { store, leases, part: storePart } = openSharedStore(settings.redis, system, life);
  const bus = openSharedBus('controller', settings.nats, system, life);
  const holder = instanceName(system);

  let controller: Controller | undefined;
  const start = async () => {
    const pods = await openRuntime(system, settings);
    // They run on: another controller sees to them, or the next one here.
    life.stack.defer(() => pods.close());
    const { routes, logs } = bus;
    const ports = { ...system, store, leases, sealer, routes, logs, runtime: pods };
    const started = startController(ports, {
      site: settings.site,
      holder,
      registries,
      rootTemplates: settings.runtime.rootTemplates,
    });
    life.stack.defer(() => started.stop());
    controller = started;
    return started;
  };
  const controllerPart = startPatiently('controller', start, system, life.signal);
  const parts = [storePart, bus.part, controllerPart];
  const observe = (registry: Registry): void =>
    observeLeading(registry, () => controller?.leads() ?? false);
  await serveAdmin(settings.admin, { parts, observe }, life.stack);
  await Promise.all([storePart.started, controllerPart.started]);
});
