import type { PermissionLevel } from '#contracts/pod.ts';
import { permissionLevels } from '#contracts/pod.ts';
import type { Caller } from '../auth/caller.ts';

/** What people are let at: an object of a tenant with the levels it grants. */
interface Guarded {
  readonly tenant: string;
  readonly permissions: Readonly<Record<string, PermissionLevel>>;
}

/** The caller's level on it. Admins may do everything; `*` stands for every user of the tenant. */
export function levelOf(guarded: Guarded, caller: Caller): PermissionLevel {
  if (guarded.tenant !== caller.tenant) return 'NONE';
  if (caller.admin) return 'ADMIN';
  const own = guarded.permissions[caller.username] ?? 'NONE';
  const everybody = guarded.permissions['*'] ?? 'NONE';
  return rank(own) >= rank(everybody) ? own : everybody;
}

export const allows = (level: PermissionLevel, needed: PermissionLevel): boolean =>
  rank(level) >= rank(needed);

const rank = (level: PermissionLevel): number => permissionLevels.indexOf(level);
