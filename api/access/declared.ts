import type { FastifyRequest } from 'fastify';
import type { PermissionLevel } from '#contracts/pod.ts';
import type { App } from '../app.ts';
import type { Caller } from '../auth/caller.ts';
import { requireMatch } from '../entity-tag.ts';
import { Refused } from '../errors.ts';

/**
 * Who may call an operation: anybody, whoever has a valid token, those with the role admin, those
 * who have it in the first tenant, or those with a level on the object that the path names.
 */
export type Access =
  | 'anybody'
  | 'user'
  | 'admin'
  | 'site admin'
  | `${'READ' | 'USER' | 'ADMIN'} on ${'pod' | 'template'}`;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** Its service compares If-Match; so do all that are declared on an object. */
    versioned?: true;
  }
}

/** A caller with what the operation, by its declaration, asks for, and on what condition. */
export interface Acting extends Caller {
  readonly needed: PermissionLevel;
  /** The version that the caller means, when they say (RFC 9110, 13.1.1). */
  readonly ifMatch: string | undefined;
  readonly requestId: string;
}

interface Admission {
  readonly acting: Acting;
  readonly admitAgain: () => Promise<Acting>;
}
const admission = 'admission';

/**
 * From here on a route without a declared access cannot be made, and none is reached without it:
 * the caller is found, and the role checked, before a body is read, so that a stranger learns
 * nothing from how it is refused. The level on an object is checked where the object is read.
 */
export function enforceAccess(
  app: App,
  callerOf: (request: FastifyRequest) => Promise<Caller>,
): void {
  app.decorateRequest(admission);
  app.addHook('onRoute', ({ method, url, config }) => {
    if (!config?.access) throw new TypeError(`${String(method)} ${url} declares no access`);
  });
  app.addHook('onRequest', async (request) => {
    const { access } = request.routeOptions.config;
    if (!access || access === 'anybody') return;
    const admitAgain = (): Promise<Acting> => admit(request, access);
    request.setDecorator<Admission>(admission, { acting: await admitAgain(), admitAgain });
  });

  async function admit(request: FastifyRequest, access: Access): Promise<Acting> {
    const caller = await callerOf(request);
    if (access.endsWith('admin') && !caller.admin)
      throw new Refused(403, 'Not authorized: this needs the role admin.');
    if (access === 'site admin' && !caller.siteAdmin)
      throw new Refused(403, 'Not authorized: admins of the first tenant decide for the site.');
    const ifMatch = request.headers['if-match'];
    // Versions are compared where they are read; what has none keeps no condition.
    const { versioned = access.includes(' on ') } = request.routeOptions.config;
    if (!versioned) requireMatch(ifMatch, undefined);
    return { ...caller, needed: levelIn(access), ifMatch, requestId: request.id };
  }
}

/** Who makes this request, of an operation that is not for anybody. */
export const actingOf = (request: FastifyRequest): Acting =>
  request.getDecorator<Admission>(admission).acting;

/** The same, found anew: an answer that goes on for long ends when it throws `Refused`. */
export const actingNow = (request: FastifyRequest): Promise<Acting> =>
  request.getDecorator<Admission>(admission).admitAgain();

/** What the declaration means, in words for the documentation. */
export function accessInWords(access: Access): string {
  if (access === 'anybody') return 'For anybody.';
  if (access === 'user') return 'Needs a token.';
  if (access === 'admin') return 'Needs a token with the role admin.';
  if (access === 'site admin') return 'Needs a token with the role admin of the first tenant.';
  const [level, , object] = access.split(' ');
  return `Needs a token of somebody with ${level} on the ${object}.`;
}

const levelIn = (access: Access): PermissionLevel => {
  const [level] = access.split(' ');
  return level === 'READ' || level === 'USER' || level === 'ADMIN' ? level : 'NONE';
};
