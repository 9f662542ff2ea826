import type { CertificatePhase, Order } from '#contracts/certificate-state.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Issued } from '../issued.ts';
import { checkedChain } from './chain.ts';
import { nextStep, pollDelayMs } from './order-steps.ts';
import type { Step } from './order-steps.ts';
import { CaProblem, OrderWaits, ProofProblem } from './problem.ts';
import type { ProveJob, ProvePorts } from './prove.ts';
import { prove } from './prove.ts';
import { requestFor } from './request.ts';
import type { RemoteOrder } from './session.ts';

const patienceMs = 20_000;
const downloadTries = 4; // some authorities answer 404 for a moment after "valid"

export interface OrderPorts extends ProvePorts {
  readonly sealer: Sealer;
}

export interface OrderJob extends ProveJob {
  /** The certificate's. */
  readonly id: string;
  /** Stores the order as it is now; the call that it is stored for comes after. */
  readonly save: (order: Order, phase: CertificatePhase) => Promise<void>;
}

/**
 * Takes an order to its certificate, from wherever it is. Throws `CaProblem` and `ProofProblem`; what
 * was stored by then is where the next run goes on.
 */
export async function runOrder(ports: OrderPorts, job: OrderJob, begun: Order): Promise<Issued> {
  let order = begun;
  let remote: RemoteOrder | undefined;
  const keep = async (changed: Order, phase: CertificatePhase): Promise<void> => {
    order = changed;
    await job.save(order, phase);
  };
  let waits = 0;
  for (;;) {
    job.signal.throwIfAborted();
    const step = nextStep(order, remote, ports.clock.nowMs());
    switch (step.kind) {
      case 'create':
        remote = await create(job, order, keep);
        break;
      case 'look':
        remote = await job.session.lookAtOrder(step.url);
        break;
      case 'prove':
        for (const url of remote?.authorizations ?? []) await prove(ports, job, url);
        remote = await settled(ports, job, remote);
        break;
      case 'prepare': {
        const { key, csr } = await requestFor(order.hosts);
        const sealed = ports.sealer.seal(key, sealContext.certificate(job.id));
        await keep({ ...order, key: sealed, csr }, 'finalizing');
        break;
      }
      case 'finalize':
        remote = remote && (await job.session.finalize(remote, step.csr));
        break;
      case 'wait':
        await wait(ports, job, pollDelayMs(waits, remote?.retryAfterMs));
        waits += 1;
        remote = undefined;
        break;
      case 'download':
        return await download(ports, job, { order, step, keep });
      case 'fail':
        throw new ProofProblem(step.reason, true);
    }
  }
}

/** Throws `OrderWaits` when it would take too long: another order can use the place meanwhile. */
async function wait({ clock }: OrderPorts, { signal }: OrderJob, delayMs: number): Promise<void> {
  if (delayMs > patienceMs) throw new OrderWaits(clock.nowMs() + delayMs);
  await clock.sleep(delayMs, signal);
}

type Keep = (order: Order, phase: CertificatePhase) => Promise<void>;

async function create(job: OrderJob, order: Order, keep: Keep): Promise<RemoteOrder> {
  const extras = {
    ...(order.profile !== null && { profile: order.profile }),
    ...(order.replaces !== null && { replaces: order.replaces }),
  };
  try {
    const remote = await job.session.order(order.hosts, extras);
    await keep({ ...order, url: remote.url }, 'validating');
    return remote;
  } catch (error) {
    // Another order took its place, of which we know nothing (RFC 9773, 5): this one is on its own.
    if (!(error instanceof CaProblem) || error.type !== 'alreadyReplaced') throw error;
    if (order.replaces === null) throw error;
    const alone = { ...order, replaces: null };
    await keep(alone, 'ordering');
    return create(job, alone, keep);
  }
}

/** All hosts are proven: some authorities take a moment to see that of the order. */
async function settled(
  ports: OrderPorts,
  job: OrderJob,
  remote: RemoteOrder | undefined,
): Promise<RemoteOrder | undefined> {
  if (!remote) return undefined;
  let now = await job.session.lookAtOrder(remote.url);
  for (let turn = 0; now.status === 'pending' && turn < 10; turn += 1) {
    await ports.clock.sleep(pollDelayMs(turn, now.retryAfterMs), job.signal);
    now = await job.session.lookAtOrder(remote.url);
  }
  if (now.status === 'pending') throw new CaProblem('it does not see that all hosts are proven');
  return now;
}

async function download(
  ports: OrderPorts,
  job: OrderJob,
  { order, step, keep }: { order: Order; step: Step & { kind: 'download' }; keep: Keep },
): Promise<Issued> {
  await keep({ ...order, certificateUrl: step.url }, 'downloading');
  const { key } = order;
  if (key === null) throw new ProofProblem('the key of the order is lost', true);
  for (let turn = 0; ; turn += 1) {
    try {
      const pem = await job.session.download(step.url);
      const opened = ports.sealer.open(key, sealContext.certificate(job.id));
      return { ...checkedChain(pem, { key: opened, hosts: order.hosts }), key };
    } catch (error) {
      // One that says for how long it wants to be left alone means all orders.
      const short = error instanceof CaProblem && error.passing && error.retryAfterMs === undefined;
      const again = error instanceof CaProblem && (error.status === 404 || short);
      if (!again || turn >= downloadTries) throw error;
      await ports.clock.sleep(pollDelayMs(turn + 2, error.retryAfterMs), job.signal);
    }
  }
}
