import type { Registry } from 'prom-client';
import { openSealer } from '#adapters/system/sealer.ts';
import { admin } from '../deploy/settings/admin.ts';
import { certs } from '../deploy/settings/certs.ts';
import { log } from '../deploy/settings/log.ts';
import { nats } from '../deploy/settings/nats.ts';
import { redis } from '../deploy/settings/redis.ts';
import { sharedKey } from '../deploy/settings/shared-key.ts';
import { site } from '../deploy/settings/site.ts';
import { serveAdmin } from '../deploy/start/admin.ts';
import { openSharedBus } from '../deploy/start/bus.ts';
import { publicTerms } from '../deploy/start/certs.ts';
import { instanceName, openSharedStore } from '../deploy/start/store.ts';
import { startPatiently } from '../deploy/start/patience.ts';
import { runProgram } from '../deploy/start/program.ts';
import { openSystem } from '../deploy/start/system.ts';
import type { Certs } from './certs.ts';
import { startCerts } from './certs.ts';
import { observeCerts } from './metrics.ts';

/** Certificates of a cluster. Any number may run; they share the work by leases. */
const groups = { site, certs, sharedKey, admin: admin(9104), redis, nats, log };

await runProgram(process.env, groups, async (settings, life) => {
  const system = openSystem(settings.log);
  const sealer = openSealer(settings.sharedKey.file);
  const { store, leases, part: storePart } = openSharedStore(settings.redis, system, life);
  // It tells which pods are in use: without it certificates come in another order, no more.
  const { traffic } = openSharedBus('certs', settings.nats, system, life);
  const terms = {
    site: settings.site,
    holder: instanceName(system),
    others: publicTerms(settings, system),
  };
  let running: Certs | undefined;
  const start = async () => {
    const started = await startCerts({ ...system, store, leases, sealer, traffic }, terms);
    life.stack.defer(() => started.stop());
    running = started;
    return started;
  };
  const certsPart = startPatiently('certs', start, system, life.signal);
  const observe = (registry: Registry): void =>
    observeCerts(
      registry,
      () => running,
      () => system.clock.nowMs(),
    );
  await serveAdmin(settings.admin, { parts: [storePart, certsPart], observe }, life.stack);
  await Promise.all([storePart.started, certsPart.started]);
});
