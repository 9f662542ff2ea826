import { podsDomain } from '#contracts/hosts.ts';
import type { Identity } from './auth/identity.ts';
import { openIdentity } from './auth/identity.ts';
import { openTokens } from './auth/tokens.ts';
import { sweepAnswers } from './idempotency.ts';
import { buildApp } from './app.ts';
import type { ApiPorts, ApiSettings } from './ports.ts';
import { containerSeeds } from './templates/seed/containers.ts';
import { processSeeds } from './templates/seed/processes.ts';
import type { Seed } from './templates/seed/seed.ts';
import { plant } from './templates/seed/seed.ts';

export interface Api {
  readonly port: number;
  /** Why it takes no requests, in a sentence for operators; undefined: it does. */
  problem(): string | undefined;
  stop(): Promise<void>;
}

/** Serves the REST API; rejects with the listen error (`code`, `port`) when the port is taken. */
export async function startApi(ports: ApiPorts, settings: ApiSettings): Promise<Api> {
  const tokens = await openTokens(ports, settings.tenant);
  await plant(ports, settings.tenant, seedsOf(settings));
  const identity = openIdentity(ports, tokens, settings.tenant);
  const app = await buildApp(ports, { settings, identity });
  const stopped = new AbortController();
  void sweeping(ports, identity, stopped.signal);
  await app.listen({ host: settings.host, port: settings.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : settings.port;
  return {
    port,
    problem: () => (app.server.listening ? undefined : 'it does not listen'),
    stop: async () => {
      stopped.abort();
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

/** The templates whose images can be run here. */
function seedsOf({ runtime, domain, publicHttpsPort, programs }: ApiSettings): readonly Seed[] {
  const site = { podsDomain: podsDomain(domain), publicHttpsPort };
  const containers = runtime === 'engine' || runtime === 'kubernetes';
  return containers ? containerSeeds(site) : processSeeds(programs, site);
}

const sweepMs = 3_600_000;

/** Forgets what has expired, now and then, until the signal aborts. */
async function sweeping(
  ports: ApiPorts,
  { sessions, codes }: Identity,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = ports;
  while (!signal.aborted) {
    try {
      await clock.sleep(sweepMs, signal);
      await sessions.sweep();
      await codes.sweep();
      await sweepAnswers(ports);
    } catch (error) {
      if (!signal.aborted) log.warn({ error: String(error) }, 'what expired was not removed');
    }
  }
}
