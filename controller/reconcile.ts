import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#contracts/clock.ts';
import type { Site } from '#contracts/hosts.ts';
import { domainOf, podHost } from '#contracts/hosts.ts';
import type { Log } from '#contracts/log.ts';
import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import { podKey, zPodStatus } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Collection, Fence } from '#contracts/store.ts';
import type { Facts, Plan } from './plan.ts';
import { plan } from './plan.ts';
import type { Publisher } from './publish.ts';
import type { Act, Turn } from './queue.ts';
import { primaryNetwork } from './routed-networks.ts';
import { routesOf } from './routes.ts';
import { runSpecOf } from './run-spec.ts';
import type { RegistryAccess, RunEnd, Runtime } from './runtime/runtime.ts';
import type { RouteStanding } from './status.ts';
import { statusOf } from './status.ts';

/** From SIGTERM to SIGKILL when a pod is stopped. */
const stopGraceMs = 10_000;
/** How long a pod may outlive its route for the sake of a gateway that does not answer. */
const withdrawMs = 1_000;
// Stop, remove, launch and a look: more steps to what is wanted mean that something is amiss.
const stepsMax = 8;

export interface ReconcileContext {
  readonly desired: Collection<DesiredPod>;
  readonly statuses: Collection<PodStatus>;
  readonly runtime: Runtime;
  readonly publisher: Publisher;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly log: Log;
  readonly site: Site;
  readonly registries: ReadonlyMap<string, RegistryAccess>;
  readonly rootTemplates: ReadonlySet<string>;
  readonly fence: Fence;
  /** Throws when the lease may be lost: runtimes cannot check a fence, so it is asked before acting. */
  checkLeading(this: void): void;
  /** Pods that become available as soon as gateways acknowledge their routes. */
  readonly awaitingGateways: Set<string>;
}

interface Seen {
  readonly facts: Facts;
  readonly desiredVersion: number | undefined;
  readonly statusVersion: number | undefined;
}

/** Reads everything that is known of a pod. */
export async function look(
  {
    desired,
    statuses,
    runtime,
    clock,
  }: Pick<ReconcileContext, 'desired' | 'statuses' | 'runtime' | 'clock'>,
  key: string,
): Promise<Seen> {
  const [wanted, status, observed] = await Promise.all([
    desired.get(key),
    statuses.get(key),
    runtime.observe(key),
  ]);
  return {
    facts: { desired: wanted?.value, status: status?.value, observed, nowMs: clock.nowMs() },
    desiredVersion: wanted?.version,
    statusVersion: status?.version,
  };
}

/**
 * Makes a pod what it should be; returns after how long to look again without an event. A look writes
 * routes and status and takes no step: it returns which act is due. A turn to end launches nothing.
 */
export async function reconcile(
  context: ReconcileContext,
  key: string,
  turn: Turn,
): Promise<number | Act | undefined> {
  let launchFailure: RunEnd | undefined;
  let towards: number | undefined;
  for (let steps = 0; steps < stepsMax; steps += 1) {
    const { facts: seen, desiredVersion, statusVersion } = await look(context, key);
    // Users may change their minds as often as they like, and steps may take long.
    if (desiredVersion !== towards) steps = 0;
    towards = desiredVersion;
    const facts = { ...seen, launchFailure };
    const next = plan(facts);
    context.checkLeading();
    await context.publisher.publish(
      key,
      routesOf(facts.desired, next, facts.observed, context.site),
    );
    if (isGone(facts)) {
      forget(context, key);
      return undefined;
    }
    await writeStatus(context, key, { facts, statusVersion }, next);
    if (next.step.do === 'nothing') {
      return next.againAtMs === undefined ? undefined : next.againAtMs - facts.nowMs;
    }
    const act = next.step.do === 'launch' ? 'launch' : 'end';
    if (turn !== 'launch' && turn !== act) return act;
    launchFailure = await take(context, key, next, facts);
  }
  throw new Error(`${key} is not settled after ${stepsMax} steps`);
}

const isGone = ({ desired, status, observed }: Facts): boolean => !(desired ?? status ?? observed);

function forget({ publisher, awaitingGateways }: ReconcileContext, key: string): void {
  publisher.forget(key);
  awaitingGateways.delete(key);
}

/** Does the step; resolves with how a launch has failed of which the runtime keeps no trace. */
async function take(
  context: ReconcileContext,
  key: string,
  next: Plan,
  facts: Facts,
): Promise<RunEnd | undefined> {
  const { runtime, publisher, statuses, log, fence } = context;
  const { step, reason } = next;
  log.info({ key, step: step.do, run: next.ledger.run, reason }, 'acting on a pod');
  switch (step.do) {
    case 'nothing':
      return undefined;
    case 'launch':
      return facts.desired && launch(context, facts.desired, step.run);
    case 'stop':
      await publisher.settled(key, withdrawMs);
      context.checkLeading();
      await runtime.stop(key, stopGraceMs);
      return undefined;
    case 'remove':
      context.checkLeading();
      await runtime.remove(key);
      await statuses.remove(key, 'anything', fence);
      return undefined;
  }
}

/** Says nothing of the pod: the same launch is tried again, soon and as often as it takes. */
const passing = new Set(['RunInProgress', 'RuntimeUnavailable', 'NotLeading', 'FencedOff']);

/** What is wrong with a launch is told to the owner and tried again a few times, not for ever. */
async function launch(
  context: ReconcileContext,
  desired: DesiredPod,
  run: number,
): Promise<RunEnd | undefined> {
  const { runtime, clock, log } = context;
  let prepared = false;
  try {
    const spec = runSpecOf(desired, run, context);
    prepared = true;
    context.checkLeading();
    await runtime.start(spec);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || passing.has(error.name)) throw error;
    log.error({ key: podKey(desired.tenant, desired.podId), run, error }, 'a launch has failed');
    // A document that cannot be opened stays so.
    const by = prepared ? 'itself' : 'refused';
    const { message } = error;
    return { by, exitCode: null, signal: null, message, endedAtMs: clock.nowMs() };
  }
}

/** Before the step: a run that is not on record would be started again after a crash. */
async function writeStatus(
  context: ReconcileContext,
  key: string,
  { facts, statusVersion }: Pick<Seen, 'facts' | 'statusVersion'>,
  next: Plan,
): Promise<void> {
  const standing = routeStanding(context, key, facts.desired);
  const status = statusOf(facts, next, standing);
  const waits = next.situation === 'running' && status.state !== 'AVAILABLE';
  if (waits) context.awaitingGateways.add(key);
  else context.awaitingGateways.delete(key);
  // Parsed, so that equal documents are equal whatever order their keys came in.
  if (isDeepStrictEqual(zPodStatus.parse(status), facts.status)) return;
  const expect = statusVersion === undefined ? 'absent' : { version: statusVersion };
  await context.statuses.put(key, status, expect, context.fence);
}

function routeStanding(
  { publisher, site }: ReconcileContext,
  key: string,
  desired: DesiredPod | undefined,
): RouteStanding {
  const network = desired && primaryNetwork(desired);
  if (!desired || network === undefined) return 'unserved';
  return publisher.standing(key, podHost(desired.podId, network, domainOf(desired.tenant, site)));
}
