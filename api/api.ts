import { openTokens } from './auth/tokens.ts';
import { buildApp } from './app.ts';
import type { ApiPorts, ApiSettings } from './ports.ts';

export interface Api {
  readonly port: number;
  /** Why it takes no requests, in a sentence for operators; undefined: it does. */
  problem(): string | undefined;
  stop(): Promise<void>;
}

/** Serves the REST API; rejects with the listen error (`code`, `port`) when the port is taken. */
export async function startApi(ports: ApiPorts, settings: ApiSettings): Promise<Api> {
  const tokens = await openTokens(ports, settings.tenant);
  const app = await buildApp(ports, { settings, tokens });
  await app.listen({ host: settings.host, port: settings.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : settings.port;
  return {
    port,
    problem: () => (app.server.listening ? undefined : 'it does not listen'),
    stop: async () => {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}
