import type { DesiredPod, PermissionLevel } from '#contracts/pod.ts';
import { permissionLevels } from '#contracts/pod.ts';
import type { Caller } from '../auth/caller.ts';

/** The caller's level on a pod. Admins may do everything; `*` stands for every user of the tenant. */
export function levelOf(pod: DesiredPod, caller: Caller): PermissionLevel {
  if (pod.tenant !== caller.tenant) return 'NONE';
  if (caller.admin) return 'ADMIN';
  const own = pod.permissions[caller.username] ?? 'NONE';
  const everybody = pod.permissions['*'] ?? 'NONE';
  return rank(own) >= rank(everybody) ? own : everybody;
}

export const allows = (level: PermissionLevel, needed: PermissionLevel): boolean =>
  rank(level) >= rank(needed);

const rank = (level: PermissionLevel): number => permissionLevels.indexOf(level);
