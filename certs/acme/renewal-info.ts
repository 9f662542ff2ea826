import { z } from 'zod';
import type { Renewal } from '#contracts/certificate-state.ts';
import type { CaAnswer } from './problem.ts';
import { CaProblem, retryAfterMs } from './problem.ts';

const hourMs = 60 * 60 * 1000;
const minuteMs = 60 * 1000;
// Twice a day at the least, or a revocation of many would be noticed too late (RFC 9773, 4.3.2).
const askAgainMs = { default: 6 * hourMs, least: minuteMs, most: 12 * hourMs };

const zInfo = z.object({
  suggestedWindow: z.object({ start: z.coerce.date(), end: z.coerce.date() }),
});

/**
 * The window that an authority suggests for renewing (RFC 9773, 4.2), with an instant in it: the one
 * that was chosen `before` while the window is the same. `fraction` is in [0, 1).
 */
export function renewalFrom(
  answer: CaAnswer,
  { before, nowMs, fraction }: { before: Renewal | null; nowMs: number; fraction: number },
): Renewal {
  const parsed = zInfo.safeParse(answer.data);
  if (!parsed.success) throw new CaProblem('its renewal information cannot be read');
  const startMs = parsed.data.suggestedWindow.start.getTime();
  const endMs = parsed.data.suggestedWindow.end.getTime();
  if (endMs < startMs) throw new CaProblem('its renewal window ends before it begins');
  const waitMs = retryAfterMs(answer, nowMs) ?? askAgainMs.default;
  const askAgainAtMs = nowMs + Math.min(Math.max(waitMs, askAgainMs.least), askAgainMs.most);
  const same = before?.startMs === startMs && before.endMs === endMs;
  const atMs = same ? before.atMs : Math.round(startMs + (endMs - startMs) * fraction);
  return { startMs, endMs, atMs, askAgainAtMs };
}
