import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Refused } from './errors.ts';

/**
 * Entity tags (RFC 9110, 8.8.3): `"<version of what users write>.<version of the status>"`, the
 * latter 0 for what has none. Both make the answer another one; but If-Match guards against lost
 * updates, and users update only their part. So only that is compared there: a pod that became
 * AVAILABLE meanwhile is no reason to refuse an edit of its description.
 */
export const entityTag = (version: number, statusVersion = 0): string =>
  `"${version}.${statusVersion}"`;

/**
 * Refuses with 412 what was meant for another version (RFC 9110, 13.1.1). `undefined` is what has
 * no versions: a condition that cannot be kept is refused, not ignored.
 */
export function requireMatch(ifMatch: string | undefined, version: number | undefined): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const wanted = ifMatch.split(',').map((tag) => /^"(\d+)\.\d+"$/.exec(tag.trim())?.[1]);
  if (version !== undefined && wanted.includes(String(version))) return;
  throw new Refused(412, 'It was changed since: read it again, then decide (If-Match).');
}

/** What an operation whose answers have tags answers to those who have it already. */
export const notModified = {
  304: z.null().describe('It is the version that was named (If-None-Match).'),
} as const;

/** Shows the tag of the answer; whether the caller has that answer already. */
export function isTagKnown(request: FastifyRequest, reply: FastifyReply, tag: string): boolean {
  void reply.header('etag', tag);
  return isKnown(request.headers['if-none-match'], tag);
}

/** Whether the caller has this version already (RFC 9110, 13.1.2: compared weakly). */
const isKnown = (ifNoneMatch: string | undefined, tag: string): boolean =>
  ifNoneMatch !== undefined &&
  (ifNoneMatch.trim() === '*' ||
    ifNoneMatch.split(',').some((known) => known.trim().replace(/^W\//, '') === tag));
