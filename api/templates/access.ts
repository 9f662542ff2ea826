import type { PermissionLevel } from '#contracts/pod.ts';
import type { Template } from './records.ts';
import { levelOf } from '../access/levels.ts';
import type { Caller } from '../auth/caller.ts';

/** The caller's level on a template, which other tenants may be let read. */
export function templateLevel(template: Template, caller: Caller): PermissionLevel {
  const { permissions } = template;
  const level = levelOf(template, caller);
  if (level !== 'NONE') return level;
  const shared = permissions['**'] ?? permissions[`tenant.${caller.tenant}`];
  return shared === undefined ? 'NONE' : 'READ';
}

/** Grants beyond the own tenant, which only admins make, and only for reading. */
export const isShared = (user: string): boolean => user === '**' || user.startsWith('tenant.');
