import { z } from 'zod';

export const zTime = z
  .string()
  .nullable()
  .meta({
    description: 'UTC without a zone, with microseconds.',
    examples: ['2026-01-31T12:00:00.000000'],
  });

/** ISO 8601 in UTC without a zone, with microseconds. */
export function timestamp(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString().replace('Z', '000');
}
