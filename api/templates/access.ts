import type { PermissionLevel } from '#contracts/pod.ts';
import type { Template } from './records.ts';
import { levelOf } from '../access/levels.ts';
import type { Caller } from '../auth/caller.ts';
import { Invalid, Refused } from '../errors.ts';

/** The caller's level on a template, which other tenants may be let read. */
export function templateLevel(template: Template, caller: Caller): PermissionLevel {
  const { permissions } = template;
  const level = levelOf(template, caller);
  if (level !== 'NONE') return level;
  const shared = permissions['**'] ?? permissions[`tenant.${caller.tenant}`];
  return shared === undefined ? 'NONE' : 'READ';
}

/** Grants beyond the own tenant, which only admins of the site make, and only for reading. */
export const isShared = (user: string): boolean => user === '**' || user.startsWith('tenant.');

/** Throws when such a grant is not for this caller to make, or no grant for reading. */
export function refuseSharing(level: PermissionLevel | undefined, caller: Caller): void {
  if (!caller.siteAdmin)
    throw new Refused(
      403,
      'Not authorized: sharing beyond the tenant needs the role admin, of the first tenant.',
    );
  if (level !== undefined && level !== 'READ')
    throw new Invalid(['body, level: must be READ for ** and for other tenants']);
}
