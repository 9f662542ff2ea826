import { z } from 'zod';

export const zTime = z.string().nullable().describe('UTC without a zone, with microseconds.');

/** ISO 8601 in UTC without a zone, with microseconds. */
export function timestamp(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString().replace('Z', '000');
}
