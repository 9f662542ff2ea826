import { openSealer } from '#adapters/system/sealer.ts';
import { admin } from '../deploy/settings/admin.ts';
import { api } from '../deploy/settings/api.ts';
import { log } from '../deploy/settings/log.ts';
import { nats } from '../deploy/settings/nats.ts';
import { redis } from '../deploy/settings/redis.ts';
import { runtime } from '../deploy/settings/runtime.ts';
import { sharedKey } from '../deploy/settings/shared-key.ts';
import { site } from '../deploy/settings/site.ts';
import { serveAdmin } from '../deploy/start/admin.ts';
import { serveApi } from '../deploy/start/api.ts';
import { openSharedBus } from '../deploy/start/bus.ts';
import { openSharedStore } from '../deploy/start/store.ts';
import { startPatiently } from '../deploy/start/patience.ts';
import { runProgram } from '../deploy/start/program.ts';
import { openSystem } from '../deploy/start/system.ts';
import { ensureUser, hasUser } from './auth/users.ts';

/** The REST API of a cluster. Any number may run. */
const groups = { site, sharedKey, admin: admin(9103), api, runtime, redis, nats, log };

await runProgram(process.env, groups, async (settings, life) => {
  const system = openSystem(settings.log);
  const sealer = openSealer(settings.sharedKey.file);
  const { store, part: storePart } = openSharedStore(settings.redis, system, life);
  const bus = openSharedBus('api', settings.nats, system, life);
  const ports = {
    ...system,
    store,
    sealer,
    logs: bus.logs,
    traffic: bus.traffic,
    routes: bus.routes,
  };
  const { tenant } = settings.site;

  const ensureAdmin = async (): Promise<void> => {
    const password = settings.api.adminPassword;
    const user = { tenant, username: 'admin', admin: true };
    if (password !== undefined) await ensureUser(ports, { ...user, password });
    else if (!(await hasUser(ports, tenant, 'admin')))
      system.log.warn({}, 'nobody can log in: set PODGATE_ADMIN_PASSWORD to make the user admin');
  };
  const start = async () => {
    await ensureAdmin();
    const running = await serveApi(ports, settings);
    life.stack.defer(() => running.stop());
    return running;
  };
  const apiPart = startPatiently('api', start, system, life.signal);
  const parts = [storePart, bus.part, apiPart];
  await serveAdmin(settings.admin, { parts }, life.stack);
  await Promise.all([storePart.started, apiPart.started]);
});
