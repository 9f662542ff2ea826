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
/** Names that are compared with those before them, in one slice. */
const comparedMax = 5_000;
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

type Place = Pick<ReconcileContext, 'desired' | 'statuses' | 'runtime' | 'log'>;

/**
 * Everything that is wanted, on record or running. Where pods run may be away for a moment: what only runs
 * is then found the next time, and all else is seen to.
 */
export async function allKeys(place: Place): Promise<Set<string>> {
  return new Set((await allLists(place)).flat());
}

async function allLists({
  desired,
  statuses,
  runtime,
  log,
}: Place): Promise<readonly (readonly string[])[]> {
  const known = runtime.list().catch((error: unknown): readonly string[] => {
    log.warn({ error: String(error) }, 'where pods run nobody tells which there are');
    return [];
  });
  return Promise.all([desired.ids(), statuses.ids(), known]);
}

/** Calls `look` for every pod each minute, a few at a time, until the signal aborts. */
export async function lookAtAll(
  place: Place & { readonly clock: Clock },
  signal: AbortSignal,
  look: (key: string) => void,
): Promise<void> {
  const { clock, log } = place;
  const pause = (ms: number): Promise<void> => clock.sleep(ms, signal).catch(() => undefined);
  const pass = async (): Promise<void> => {
    for (const keys of slicesOf(await allLists(place))) {
      if (signal.aborted) return;
      for (const key of keys) look(key);
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

/** Each key of the lists once. Finding out which are new takes its time as well when there are many. */
function* slicesOf(lists: readonly (readonly string[])[]): Generator<readonly string[]> {
  const longest = Math.max(...lists.map(({ length }) => length));
  const sliceMax = Math.max(sliceMin, Math.ceil((longest * sliceMs) / spreadMs));
  const seen = new Set<string>();
  let slice: string[] = [];
  let compared = 0;
  for (const key of lists.flat()) {
    compared += 1;
    if (!seen.has(key)) slice.push(key);
    seen.add(key);
    if (slice.length < sliceMax && compared < comparedMax) continue;
    yield slice;
    [slice, compared] = [[], 0];
  }
  yield slice;
}
