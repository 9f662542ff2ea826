import { openSealer } from '#adapters/system/sealer.ts';
import { admin } from '../deploy/settings/admin.ts';
import { apiAddress } from '../deploy/settings/api-address.ts';
import { data } from '../deploy/settings/data.ts';
import { gateway } from '../deploy/settings/gateway.ts';
import { log } from '../deploy/settings/log.ts';
import { nats } from '../deploy/settings/nats.ts';
import { redis } from '../deploy/settings/redis.ts';
import { sharedKey } from '../deploy/settings/shared-key.ts';
import { site } from '../deploy/settings/site.ts';
import { serveAdmin } from '../deploy/start/admin.ts';
import { openSharedBus } from '../deploy/start/bus.ts';
import { makeDataDir } from '../deploy/start/data-dir.ts';
import { instanceName, openSharedStore } from '../deploy/start/store.ts';
import { serveGateway } from '../deploy/start/gateway.ts';
import { runProgram } from '../deploy/start/program.ts';
import { openSystem } from '../deploy/start/system.ts';

/** A gateway of a cluster. Each has a data directory of its own, and serves from it when it is alone. */
const groups = { site, data, sharedKey, admin: admin(9101), gateway, apiAddress, redis, nats, log };

await runProgram(process.env, groups, async (settings, life) => {
  makeDataDir(settings.data.dir, 0o700);
  const system = openSystem(settings.log);
  const sealer = openSealer(settings.sharedKey.file);
  const { store, part: storePart } = openSharedStore(settings.redis, system, life);
  const bus = openSharedBus('gateway', settings.nats, system, life);

  const ports = { ...system, store, sealer, routes: bus.routes, cancels: bus.cancels };
  const terms = { id: instanceName(system), apis: settings.apiAddress };
  const running = await serveGateway(ports, settings, terms);
  life.stack.defer(() => running.stop());
  life.stack.defer(bus.traffic.serve(running.operator.traffic));

  const { operator } = running;
  const gatewayPart = { name: 'gateway', problem: () => operator.problem() };
  const shown = {
    // Without them it serves what it knows, so nobody shall take it out of service for that.
    parts: [{ ...storePart, dispensable: true }, { ...bus.part, dispensable: true }, gatewayPart],
    endpoints: operator.endpoints,
    observe: operator.observe.bind(operator),
  };
  await serveAdmin(settings.admin, shown, life.stack);
  await storePart.started;
});
