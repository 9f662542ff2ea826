import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';

/**
 * What stands behind `podgate.invalid` on a node: a registry that has no image. It says so as registries
 * do, or for `podgate.invalid/status-<code>/...` with another status.
 */
export async function startRegistry(): Promise<Server> {
  const registry = createServer(({ url = '' }, answer) => {
    const code = Number(/^\/v2\/status-(\d+)\//.exec(url)?.[1] ?? 404);
    const errors = [{ code: codes[code] ?? 'UNKNOWN', message: `the registry says ${code}` }];
    answer.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
  });
  await once(registry.listen(0, '127.0.0.1'), 'listening');
  return registry;
}

/** Of the distribution specification. */
const codes: Readonly<Record<number, string>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'MANIFEST_UNKNOWN',
  429: 'TOOMANYREQUESTS',
};
