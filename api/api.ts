import { Identities } from './auth/identity.ts';
import { Tenants } from './tenants/tenants.ts';
import { sweepAnswers } from './idempotency.ts';
import { sweepCounts } from './request-counts.ts';
import { buildApp } from './app.ts';
import type { ApiPorts, ApiSettings } from './ports.ts';
import { seedsFor } from './templates/seed/by-runtime.ts';
import { plant } from './templates/seed/seed.ts';

export interface Api {
  readonly port: number;
  /** Why it takes no requests, in a sentence for operators; undefined: it does. */
  problem(): string | undefined;
  stop(): Promise<void>;
}

/** Serves the REST API; rejects with the listen error (`code`, `port`) when the port is taken. */
export async function startApi(ports: ApiPorts, settings: ApiSettings): Promise<Api> {
  const tenants = new Tenants(ports, settings);
  const identities = new Identities(ports, tenants);
  // Now rather than at the first login, so that a key that does not open is told at once.
  await identities.of(settings.tenant);
  await plant(ports, settings.tenant, seedsFor(settings));
  const app = await buildApp(ports, { settings, identities, tenants });
  const stopped = new AbortController();
  void sweeping(ports, identities, stopped.signal);
  await app.listen({ host: settings.host, port: settings.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : settings.port;
  return {
    port,
    problem: () => (app.server.listening ? undefined : 'it does not listen'),
    stop: async () => {
      stopped.abort();
      // Streams end first (`preClose`).
      const cut = ports.clock.after(drainMs, () => app.server.closeAllConnections());
      await app.close();
      cut();
    },
  };
}

// Hardly any answer takes this long, and a supervisor grants 10 s for everything.
const drainMs = 5_000;
const sweepMs = 3_600_000;

/** Forgets what has expired, now and then, until the signal aborts. */
async function sweeping(
  ports: ApiPorts,
  identities: Identities,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = ports;
  while (!signal.aborted) {
    try {
      await clock.sleep(sweepMs, signal);
      await identities.sweep();
      await sweepAnswers(ports);
      await sweepCounts(ports);
    } catch (error) {
      if (!signal.aborted) log.warn({ error: String(error) }, 'what expired was not removed');
    }
  }
}
