import { Refused } from './errors.ts';

/**
 * Entity tags of pods (RFC 9110, 8.8.3): `"<version of what is wanted>.<version of the status>"`.
 * Both make the answer another one; but If-Match guards against lost updates, and users update only
 * what is wanted. So only that part is compared there: a pod that became AVAILABLE meanwhile is no
 * reason to refuse an edit of its description.
 */
export const entityTag = (version: number, statusVersion: number | undefined): string =>
  `"${version}.${statusVersion ?? 0}"`;

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

/** Whether the caller has this version already (RFC 9110, 13.1.2: compared weakly). */
export const isKnown = (ifNoneMatch: string | undefined, tag: string): boolean =>
  ifNoneMatch !== undefined &&
  (ifNoneMatch.trim() === '*' ||
    ifNoneMatch.split(',').some((known) => known.trim().replace(/^W\//, '') === tag));
