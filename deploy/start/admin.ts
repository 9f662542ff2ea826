import { Registry } from 'prom-client';
import type { AdminEndpoint, Part } from '#contracts/admin.ts';
import type { AdminServer, AdminSettings } from '#adapters/system/admin-server.ts';
import { startAdminServer } from '#adapters/system/admin-server.ts';
import { observeProcess } from '#adapters/system/process-metrics.ts';
import manifest from '../../package.json' with { type: 'json' };

/** What is shown on the admin port; parts may join while it serves. */
interface Shown {
  readonly parts: readonly Part[];
  readonly endpoints?: readonly AdminEndpoint[];
  readonly observe?: (registry: Registry) => void;
}

/** Serves the admin port of a program, with the metrics of its process. */
export async function serveAdmin(
  settings: AdminSettings,
  { parts, endpoints = [], observe }: Shown,
  stack: AsyncDisposableStack,
): Promise<AdminServer> {
  const registry = new Registry();
  observeProcess(registry, manifest.version);
  observe?.(registry);
  const admin = await startAdminServer(settings, { registry, parts, endpoints });
  stack.defer(() => admin.stop());
  return admin;
}
