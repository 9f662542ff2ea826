import type { Pod } from './pod-state.ts';

/** By the reasons of the condition `DisruptionTarget`. */
const plainReasons: Readonly<Record<string, string>> = {
  EvictionByEvictionAPI: 'it had to leave its node, as when one is drained',
  PreemptionByScheduler: 'it had to make room for a more important pod',
  DeletionByTaintManager: 'its node does not answer, or was closed to it',
  DeletionByPodGC: 'its node is gone',
  TerminationByKubelet: 'its node was shut down',
};

/** Why a cluster deletes a Pod that has done nothing wrong, as a clause for people; undefined: it does not say. */
export function disruptionOf({ status }: Pod): string | undefined {
  const condition = status?.conditions?.find(
    ({ type, status: holds }) => type === 'DisruptionTarget' && holds === 'True',
  );
  if (!condition) return undefined;
  const why = plainReasons[condition.reason ?? ''] ?? 'the cluster ended it';
  const said = condition.message || condition.reason;
  return said ? `${why} (${said})` : why;
}
