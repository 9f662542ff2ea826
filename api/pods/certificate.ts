import { z } from 'zod';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import {
  certificateModes,
  certificatePhases,
  certificateRequests,
  certificateStates,
} from '#contracts/certificate-state.ts';
import { podKey } from '#contracts/pod.ts';
import type { Acting } from '../access/declared.ts';
import type { ApiPorts } from '../ports.ts';
import { retrying } from '../retrying.ts';
import { timestamp, zTime } from '../times.ts';
import type { PodRecords } from './records.ts';

/** The certificate of a pod, as the wire shows it. */

const zText = (example: string) =>
  z
    .string()
    .nullable()
    .meta({ examples: [example] });

export const zPodCertificate = z.strictObject({
  mode: z
    .enum(certificateModes)
    .describe(
      'own: from our authority; per-pod: from a public one; hybrid: the wildcard until that is there; wildcard: never one of its own.',
    ),
  phase: z.enum(certificatePhases).describe('active: it is in use, and no order is under way.'),
  hosts: z.array(z.string()).describe('Those it is good for; none while there is none.'),
  issuer: zText('CN=R11, O=Example Trust Services').describe('Who signed the one in use.'),
  authority: zText('acme.example.org').describe('Whom it is, or was, ordered from.'),
  profile: zText('tlsserver'),
  not_before_ts: zTime,
  not_after_ts: zTime,
  renewal: z
    .strictObject({ start_ts: zTime, end_ts: zTime, at_ts: zTime })
    .nullable()
    .describe('When it is replaced, and the window that this instant was chosen in.'),
  place_in_queue: z.int().nullable().describe('About how many are ordered before it and with it.'),
  failures: z.int().min(0).describe('Tries that failed since one succeeded.'),
  last_error: zText('the authority could not reach mydb.pods.example.org'),
  last_error_ts: zTime,
  next_attempt_ts: zTime,
  rotating: z.boolean().describe('A new key and certificate were asked for and are not there yet.'),
  warning: zText('expires within 3 days and was not renewed yet').describe(
    'What needs looking at; null: nothing.',
  ),
});
type Shown = z.infer<typeof zPodCertificate>;

/** What is known of one certificate, and of the wish for another. */
interface Known {
  readonly certificate: Certificate | undefined;
  readonly state: CertificateState | undefined;
  /** The newest that was asked for. */
  readonly rotation: number;
}

/** Reads certificates of pods and asks for new ones, for callers with a right to. Throws `Refused`. */
export class PodCertificates {
  readonly #ports: ApiPorts;
  readonly #records: PodRecords;

  constructor(ports: ApiPorts, records: PodRecords) {
    this.#ports = ports;
    this.#records = records;
  }

  async read(podId: string, caller: Acting): Promise<Shown> {
    await this.#records.find(podId, caller);
    return presentCertificate(await this.#known(idOf(podId, caller)), this.#ports.clock.nowMs());
  }

  /** Asks for a new key and certificate. Once is enough: what is asked for already is not repeated. */
  async rotate(podId: string, caller: Acting): Promise<Shown> {
    const id = idOf(podId, caller);
    await retrying(async () => {
      await this.#records.find(podId, caller);
      const requests = certificateRequests(this.#ports.store);
      const request = await requests.get(id);
      const done = (await certificateStates(this.#ports.store).get(id))?.value.rotation ?? 0;
      if (request && request.value.rotation > done) return;
      const expect = request ? { version: request.version } : 'absent';
      await requests.put(id, { rotation: done + 1 }, expect);
    });
    return presentCertificate(await this.#known(id), this.#ports.clock.nowMs());
  }

  async #known(id: string): Promise<Known> {
    const { store } = this.#ports;
    const [certificate, state, request] = await Promise.all([
      certificates(store).get(id),
      certificateStates(store).get(id),
      certificateRequests(store).get(id),
    ]);
    return {
      certificate: certificate?.value,
      state: state?.value,
      rotation: request?.value.rotation ?? 0,
    };
  }
}

const idOf = (podId: string, { tenant }: Acting): string => `pod/${podKey(tenant, podId)}`;

function presentCertificate({ certificate, state, rotation }: Known, nowMs: number): Shown {
  const done = state?.rotation ?? 0;
  return {
    mode: state?.mode ?? 'own',
    phase: state?.phase ?? (certificate ? 'active' : 'none'),
    ...contentOf(certificate),
    renewal: certificate ? renewalOf(certificate, state) : null,
    ...progressOf(state),
    rotating: rotation > done,
    warning: warningOf(certificate, nowMs),
  };
}

const contentOf = (certificate: Certificate | undefined) => ({
  hosts: certificate?.hosts ?? [],
  issuer: certificate?.issuer ?? null,
  not_before_ts: timestamp(certificate?.notBeforeMs),
  not_after_ts: timestamp(certificate?.notAfterMs),
});

function renewalOf({ renewAtMs }: Certificate, state: CertificateState | undefined) {
  const { startMs, endMs, atMs } = state?.renewal ?? {
    startMs: renewAtMs,
    endMs: renewAtMs,
    atMs: renewAtMs,
  };
  return { start_ts: timestamp(startMs), end_ts: timestamp(endMs), at_ts: timestamp(atMs) };
}

function progressOf(state: CertificateState | undefined) {
  const last = state?.attempts.at(-1);
  return {
    authority: state?.ca ?? null,
    profile: state?.profile ?? null,
    place_in_queue: state?.queuePlace ?? null,
    failures: state?.failures ?? 0,
    last_error: last?.error ?? null,
    last_error_ts: timestamp(last?.atMs),
    next_attempt_ts: timestamp(state?.nextAttemptAtMs),
  };
}

// Renewal begins a third of the life before the end: with less than a sixth left it is late.
const lateShare = 1 / 6;
const dayMs = 24 * 60 * 60 * 1000;

function warningOf(certificate: Certificate | undefined, nowMs: number): string | null {
  if (!certificate) return null;
  const { notBeforeMs, notAfterMs } = certificate;
  const leftMs = notAfterMs - nowMs;
  if (leftMs <= 0) return 'has expired: clients refuse it';
  if (leftMs >= (notAfterMs - notBeforeMs) * lateShare) return null;
  const days = Math.ceil(leftMs / dayMs);
  return `expires within ${days} ${days === 1 ? 'day' : 'days'} and was not renewed yet`;
}
