import type { Clock } from '#contracts/clock.ts';
import type { PodState } from '#contracts/pod.ts';
import type { Facts, Plan } from './plan.ts';
import type { ReconcileContext } from './reconcile.ts';

/** An event that was lost costs at most this long. */
const everyMs = 60_000;
/** A look at all pods takes half of that, in slices this far apart: what happens meanwhile waits for one slice. */
const spreadMs = 30_000;
const sliceMs = 50;
/** Few pods need not be spread so thin. */
const sliceMin = 50;
/** When nobody could tell which pods there are. */
const againMs = 1_000;

/** How pods are when nothing is under way with them. */
const atRest: ReadonlySet<PodState> = new Set(['AVAILABLE', 'STOPPED', 'COMPLETE', 'ERROR']);

/** Whether a pod cannot wait for its turn when all are looked at. */
export function isPressing(
  { status, nowMs }: Pick<Facts, 'status' | 'nowMs'>,
  { step, againAtMs }: Pick<Plan, 'step' | 'againAtMs'>,
): boolean {
  if (step.do !== 'nothing' || !status || !atRest.has(status.state)) return true;
  return againAtMs !== undefined && againAtMs < nowMs + spreadMs;
}

/**
 * Everything that is wanted, on record or running. Where pods run may be away for a moment: what only runs
 * is then found the next time, and all else is seen to.
 */
export async function allKeys({
  desired,
  statuses,
  runtime,
  log,
}: Pick<ReconcileContext, 'desired' | 'statuses' | 'runtime' | 'log'>): Promise<Set<string>> {
  const known = runtime.list().catch((error: unknown): readonly string[] => {
    log.warn({ error: String(error) }, 'where pods run nobody tells which there are');
    return [];
  });
  const all = await Promise.all([desired.ids(), statuses.ids(), known]);
  return new Set(all.flat());
}

/** Calls `look` for every pod each minute, a few at a time, until the signal aborts. */
export async function lookAtAll(
  context: Parameters<typeof allKeys>[0] & { readonly clock: Clock },
  signal: AbortSignal,
  look: (key: string) => void,
): Promise<void> {
  const { clock, log } = context;
  const pause = (ms: number): Promise<void> => clock.sleep(ms, signal).catch(() => undefined);
  const pass = async (): Promise<void> => {
    const keys = [...(await allKeys(context))];
    const slice = Math.max(sliceMin, Math.ceil((keys.length * sliceMs) / spreadMs));
    for (let at = 0; at < keys.length && !signal.aborted; at += slice) {
      for (const key of keys.slice(at, at + slice)) look(key);
      await pause(sliceMs);
    }
  };
  while (!signal.aborted) {
    const nextTime = pause(everyMs);
    try {
      await pass();
      await nextTime;
    } catch (error) {
      log.warn({ error: String(error) }, 'nobody tells which pods there are; trying again');
      await pause(againMs);
    }
  }
}
