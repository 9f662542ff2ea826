import type { Api } from '../../api/api.ts';
import { startApi } from '../../api/api.ts';
import type { ApiPorts } from '../../api/ports.ts';
import type { api } from '../settings/api.ts';
import type { Choices } from '../settings/read.ts';
import type { runtime } from '../settings/runtime.ts';
import type { site } from '../settings/site.ts';
import { machinePrograms } from './machine-programs.ts';

type Settings = Choices<{ site: typeof site; api: typeof api; runtime: typeof runtime }>;

/** Serves the REST API. */
export const serveApi = (
  ports: ApiPorts,
  { site: place, api: own, runtime: pods }: Settings,
): Promise<Api> =>
  startApi(ports, {
    ...place,
    host: own.host,
    port: own.port,
    trustedProxies: own.trustedProxies,
    runtime: pods.kind,
    statusCodes: own.statusCodes,
    requestsPerMinute: own.requestsPerMinute,
    programs: machinePrograms(own.path, own.neo4jJars),
  });
