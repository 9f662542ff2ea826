import type { Action, PodState, PodStatus } from '#contracts/pod.ts';
import { actionsMax } from '#contracts/pod.ts';
import type { Facts, Plan } from './plan.ts';
import { howItEnded, warningTime } from './plan.ts';
import { primaryNetwork } from './routed-networks.ts';
import type { Observed, RunEnd, RunNote } from './runtime/runtime.ts';
import { notesMax } from './runtime/runtime.ts';

/** What the gateways say about the route of the network that decides. */
export type RouteStanding = 'served' | 'unserved' | 'no gateway';

interface Appearance {
  readonly state: PodState;
  /** Phase of the program, in the words of Kubernetes; '' when there is none. */
  readonly phase: '' | 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly headline: string;
  /** The program's own last words: not for the action log. */
  readonly detail?: string;
  /** What the action log says instead of the headline. */
  readonly event?: string;
}

/** The status of a pod that is planned for, with the action log carried on. */
export function statusOf(facts: Facts, plan: Plan, standing: RouteStanding): PodStatus {
  const { status: before, nowMs } = facts;
  const { state, phase, headline, detail, event } = appearance(facts, plan, standing);
  const message = detail ? `${headline}\n${detail}` : headline;
  const action: Action = {
    atMs: nowMs,
    text: `${state}: ${event ?? headline}`,
    kind: 'set_status',
    actor: controller,
    status: state,
  };
  const news =
    before?.state !== state || (plan.situation === 'waiting' && before.message !== message);
  const actions = withWarning(withNotes(before?.actions ?? [], facts.observed), plan, nowMs);
  return {
    ...plan.ledger,
    state,
    message,
    phase,
    actions: news ? [...actions, action].slice(-actionsMax) : actions,
  };
}

/**
 * Puts what the runtime tells of a run where it belongs by its time; what is there already is left.
 * So the same notes lead to the same log, whoever adds them and however often.
 */
function withNotes(actions: Action[], observed: Observed | undefined): Action[] {
  const known = new Set(actions.map(nameOf));
  const notes = observed?.notes?.slice(-notesMax) ?? [];
  const fresh = notes.filter((note) => !known.has(nameOf(note)));
  if (fresh.length === 0) return actions;
  const noted = fresh.map(({ atMs, text }): Action => ({ atMs, text, actor: controller }));
  return [...actions, ...noted].toSorted((a, b) => a.atMs - b.atMs).slice(-actionsMax);
}

/** Once for each time at which the pod will be stopped. */
function withWarning(actions: Action[], { situation, ledger }: Plan, nowMs: number): Action[] {
  const warnAtMs = warningTime(ledger);
  if (situation !== 'running' || warnAtMs === null || nowMs < warnAtMs) return actions;
  const stopAt = new Date(ledger.stopAtMs ?? nowMs).toISOString();
  const text = `time_to_stop will set the pod to OFF at ${stopAt}`;
  if (actions.some((action) => action.text === text)) return actions;
  return [...actions, { atMs: nowMs, text, actor: controller }].slice(-actionsMax);
}

const nameOf = ({ atMs, text }: RunNote): string => `${atMs} ${text}`;

const controller = { type: 'controller', name: 'controller' } as const;

function appearance(facts: Facts, plan: Plan, standing: RouteStanding): Appearance {
  const { reason } = plan;
  switch (plan.situation) {
    case 'removing':
    case 'restarting':
    case 'stopping':
      return { state: 'DELETING', phase: 'Running', headline: `Stopping: ${reason}.` };
    case 'stopped':
      return { state: 'STOPPED', phase: '', headline: `The pod is off: ${reason}.` };
    case 'launching':
      return {
        state: 'SPAWNER SETUP',
        phase: 'Pending',
        headline: `Run ${plan.ledger.run}: ${reason}.`,
      };
    case 'running':
      return running(facts, standing);
    case 'waiting':
      return waiting(facts, reason);
    case 'failed':
      return failed(facts, reason);
    case 'complete':
      return {
        state: 'COMPLETE',
        phase: 'Succeeded',
        headline: 'The program has done its work (exit code 0).',
      };
  }
}

function running({ desired, observed, status }: Facts, standing: RouteStanding): Appearance {
  const phase = 'Running';
  const creating = (headline: string, event?: string): Appearance => ({
    state: 'CREATING',
    phase,
    headline,
    ...(event && { event }),
  });
  if (observed?.phase === 'starting') {
    const headline = observed.message ?? 'The program is being started.';
    return {
      state: 'CREATING',
      phase: 'Pending',
      headline,
      event: 'The program is being started.',
    };
  }
  const network = desired && primaryNetwork(desired);
  if (network === undefined) return { state: 'AVAILABLE', phase, headline: 'The program runs.' };
  const address = observed?.addresses[network];
  if (!address) return creating(`Restart the pod: it was started without the network ${network}.`);
  if (!address.listening) {
    const headline = observed.message ?? notListening(network, address.port);
    return creating(headline, 'The program runs, but does not listen.');
  }
  // Once announced it stays so: a gateway that joins later learns the route before it has visitors.
  const announced = status?.state === 'AVAILABLE' && status.run === observed.run;
  if (standing === 'served' || announced)
    return { state: 'AVAILABLE', phase, headline: 'The pod can be reached.' };
  return creating(
    standing === 'no gateway'
      ? 'The program listens, but no gateway is there to lead clients to it.'
      : 'The program listens; the gateways are about to lead clients to it.',
  );
}

const notListening = (network: string, port: number): string =>
  `The program runs but does not listen on port ${port} yet, ` +
  `which it finds in PORT_${network.toUpperCase()}.`;

function waiting({ observed, launchFailure, status }: Facts, reason: string): Appearance {
  const base = { state: 'CREATING', phase: 'Failed' } as const;
  const end = launchFailure ?? observed?.end;
  // A launch that failed has left nothing but what was said of it.
  if (!end) return { ...base, headline: status?.message ?? `${sentence(reason)}.` };
  return { ...base, headline: `${sentence(reason)}.`, ...words(end) };
}

function failed({ observed, launchFailure, status }: Facts, reason: string): Appearance {
  const base = { state: 'ERROR', phase: 'Failed' } as const;
  const end = launchFailure ?? observed?.end;
  // Nothing is left of the run but what was said of it.
  if (!end) return { ...base, headline: status?.message ?? 'The program has failed.' };
  const how = end.by === 'refused' ? sentence(reason) : `${sentence(howItEnded(end))} (${reason})`;
  return { ...base, headline: `${how}. Restart the pod to try again.`, ...words(end) };
}

const words = ({ message }: RunEnd): { detail?: string } => (message ? { detail: message } : {});

const sentence = (clause: string): string => clause.charAt(0).toUpperCase() + clause.slice(1);
