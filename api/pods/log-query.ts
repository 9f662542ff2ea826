import { z } from 'zod';
import type { LogWindow } from '#contracts/logs.ts';
import { zFlag } from '../validation.ts';

/** What may be asked of a pod's logs. */

const tailMax = 99_999_999;

const zTail = z
  .string()
  .refine((text) => /^\d{1,8}$/.test(text), `must be a whole number, 0 to ${tailMax}`)
  .transform(Number)
  .meta({ type: 'integer', minimum: 0, maximum: tailMax, examples: [100] })
  .optional()
  .describe('Only the newest lines, this many.');

const sinceHelp =
  'must be a time like 2026-11-24T08:46:03Z (its + as %2B) or a duration like 10m or 1h30m';

const zSince = z
  .string()
  .refine((text) => sinceMs(text, 0) !== undefined, sinceHelp)
  .meta({ examples: ['10m'] })
  .optional()
  .describe(
    'Only lines written since: an ISO 8601 time, UTC when it has no zone, or how long ago in d, h, m ' +
      'and s, as 1h30m. Output is timed by the second, so lines of up to a second before may be there. ' +
      'With `tail`, what both allow.',
  );

const zFollow = zFlag
  .default(false)
  .describe(
    'Answers with server-sent events: the output so far, within `tail` and `since`, then more as it is ' +
      'written, over restarts, until the pod is deleted.',
  );

export const zLogQuery = z.strictObject({ tail: zTail, since: zSince, follow: zFollow });
export type LogQuery = z.infer<typeof zLogQuery>;

export const windowOf = (
  { tail, since }: Pick<LogQuery, 'tail' | 'since'>,
  nowMs: number,
): LogWindow => ({
  tail,
  sinceMs: since === undefined ? undefined : sinceMs(since, nowMs),
});

const zIsoTime = z.union([z.iso.datetime({ offset: true, local: true }), z.iso.date()]);
const duration = /^(?:(\d{1,6})d)?(?:(\d{1,8})h)?(?:(\d{1,9})m)?(?:(\d{1,10})s)?$/;

/** Milliseconds since the epoch; undefined: it is neither a time nor a duration. */
export function sinceMs(text: string, nowMs: number): number | undefined {
  if (zIsoTime.safeParse(text).success) {
    const zoned = /(?:Z|[+-]\d\d:\d\d)$/.test(text) || !text.includes('T');
    return Date.parse(zoned ? text : `${text}Z`);
  }
  const found = duration.exec(text);
  if (!found || text === '') return undefined;
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = found.slice(1).map((n) => Number(n ?? 0));
  return nowMs - (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}
