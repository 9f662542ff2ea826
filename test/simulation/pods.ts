import type { Site } from '#contracts/hosts.ts';
import { podHost } from '#contracts/hosts.ts';
import { podKey } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { zSealed } from '#contracts/sealer.ts';

/** The names that everything in a simulation has. */

const tenant = 'default';
export const domain = 'sim.example';
export const site: Site = { domain, tenant };

export const keyOf = (podId: string): string => podKey(tenant, podId);

export const hostOf = (podId: string, network: string): string => podHost(podId, network, domain);

export const podIdOf = (key: string): string => key.slice(tenant.length + 1);

/** Seals nothing: what is simulated has no secrets, and encryption would take most of the time. */
export const openSealer: Sealer = {
  seal: (text) => zSealed.parse(`v1.none.none.${Buffer.from(text).toString('base64url')}`),
  open: (sealed) => Buffer.from(sealed.split('.')[3] ?? '', 'base64url').toString(),
};
