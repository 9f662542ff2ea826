import type { Challenge } from '#contracts/challenge.ts';
import { challengeId, challenges } from '#contracts/challenge.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Fence, Store } from '#contracts/store.ts';
import type { DnsProvider } from '../dns/provider.ts';
import { pollDelayMs } from './order-steps.ts';
import type { Preflight } from './preflight.ts';
import { ProofProblem } from './problem.ts';
import type { AcmeSession, Authorization, RemoteChallenge } from './session.ts';

const challengeLifeMs = 60 * 60 * 1000; // an authority looks within seconds, some again for minutes
const spreadMs = 5_000; // until every gateway has heard of it
const spreadPollMs = 200;
const judgeMs = 5 * 60 * 1000; // then the order is left for the next turn
const dnsDeadlineMs = 120_000;

export interface ProvePorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly preflight: Preflight;
  readonly dns: DnsProvider | undefined;
}

export interface ProveJob {
  readonly session: AcmeSession;
  readonly fence: Fence;
  readonly signal: AbortSignal;
}

/**
 * Shows one host to be ours: publishes the answer, sees it as the authority will, lets it look, waits
 * for its verdict, takes the answer away. Does again what was begun. Throws `ProofProblem`, `CaProblem`.
 */
export async function prove(ports: ProvePorts, job: ProveJob, url: string): Promise<void> {
  const authorization = await job.session.authorization(url);
  if (authorization.status === 'valid') return;
  refuseJudged(authorization);
  const withdraw: (() => Promise<void>)[] = [];
  try {
    const under = authorization.challenges.find(({ status }) => status === 'processing');
    if (under) await publish(ports, job, { authorization, challenge: under, withdraw });
    else await job.session.answer(await answerable(ports, job, { authorization, withdraw }));
    await verdict(ports, job, url);
  } finally {
    for (const undo of withdraw) await undo().catch(() => undefined);
  }
}

interface Publishing {
  readonly authorization: Authorization;
  readonly withdraw: (() => Promise<void>)[];
}

/** The first challenge that the authority would find answered. */
async function answerable(
  ports: ProvePorts,
  job: ProveJob,
  publishing: Publishing,
): Promise<RemoteChallenge> {
  const { authorization } = publishing;
  const host = hostOf(authorization);
  const { meta } = await job.session.directory();
  const forbidden = await ports.preflight.forbidden(host, meta.caaIdentities);
  if (forbidden) throw new ProofProblem(forbidden, false);
  const reasons: string[] = [];
  for (const type of ports.dns
    ? ['http-01', 'tls-alpn-01', 'dns-01']
    : ['http-01', 'tls-alpn-01']) {
    const challenge = authorization.challenges.find((each) => each.type === type);
    if (!challenge) continue;
    const problem = await publish(ports, job, { ...publishing, challenge });
    if (!problem) return challenge;
    reasons.push(problem);
  }
  const nothing = `${host} can only be shown to be ours by DNS, which is not configured`;
  throw new ProofProblem(reasons.join('; ') || nothing, false);
}

/** Why the authority would not find it; undefined: it would. */
async function publish(
  ports: ProvePorts,
  job: ProveJob,
  { authorization, challenge, withdraw }: Publishing & { readonly challenge: RemoteChallenge },
): Promise<string | undefined> {
  const host = authorization.identifier.value;
  const proof = await job.session.proof(challenge);
  if (challenge.type === 'dns-01') return publishRecord(ports, job, { host, proof, withdraw });
  const { store, clock } = ports;
  const terms = { host, keyAuthorization: proof, expiresAtMs: clock.nowMs() + challengeLifeMs };
  const published: Challenge =
    challenge.type === 'http-01'
      ? { kind: 'http-01', token: challenge.token, ...terms }
      : { kind: 'tls-alpn-01', ...terms };
  const id = challengeId(published);
  await challenges(store).put(id, published, 'anything', job.fence);
  withdraw.push(() => challenges(store).remove(id, 'anything', job.fence));
  const untilMs = clock.monotonicMs() + spreadMs;
  for (;;) {
    const problem = await ports.preflight.answered(published);
    if (!problem || clock.monotonicMs() >= untilMs) return problem;
    await clock.sleep(spreadPollMs, job.signal);
  }
}

async function publishRecord(
  { dns }: ProvePorts,
  { signal }: ProveJob,
  { host, proof, withdraw }: { host: string; proof: string; withdraw: (() => Promise<void>)[] },
): Promise<string | undefined> {
  if (!dns) return `${host} needs DNS, which is not configured`;
  const name = `_acme-challenge.${host}`;
  const within = (): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(dnsDeadlineMs)]);
  withdraw.push(() => dns.cleanup(name, proof, AbortSignal.timeout(dnsDeadlineMs)));
  try {
    await dns.present(name, proof, within());
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return `DNS: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function verdict(ports: ProvePorts, job: ProveJob, url: string): Promise<void> {
  const { clock } = ports;
  const untilMs = clock.monotonicMs() + judgeMs;
  for (let turn = 0; clock.monotonicMs() < untilMs; turn += 1) {
    const authorization = await job.session.authorization(url);
    if (authorization.status === 'valid') return;
    refuseJudged(authorization);
    await clock.sleep(pollDelayMs(turn, authorization.retryAfterMs), job.signal);
  }
  throw new ProofProblem('the authority has not come to a verdict yet', false);
}

function refuseJudged(authorization: Authorization): void {
  if (authorization.status === 'pending') return;
  const detail = authorization.challenges.flatMap(({ error }) => error?.detail ?? []).join('; ');
  throw new ProofProblem(
    `${hostOf(authorization)}: ${detail || `its authorization is ${authorization.status}`}`,
    true,
  );
}

const hostOf = ({ identifier, wildcard }: Authorization): string =>
  wildcard ? `*.${identifier.value}` : identifier.value;
