import type { Certificate } from '#contracts/certificate.ts';
import { certificates, lateAtMs } from '#contracts/certificate.ts';
import type { CertificateMode, CertificateState } from '#contracts/certificate-state.ts';
import {
  certificateRequests,
  certificateStates,
  certificateTerms,
  siteTermsId,
} from '#contracts/certificate-state.ts';
import type { Site } from '#contracts/hosts.ts';
import type { Action } from '#contracts/pod.ts';
import { podKey } from '#contracts/pod.ts';
import { tenants } from '#contracts/tenant.ts';
import type { Acting } from '../access/declared.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import { retrying } from '../retrying.ts';
import { timestamp } from '../times.ts';
import type { ShownCertificate } from './certificate-schema.ts';
import type { PodRecords } from './records.ts';

/** What is known of one certificate, and of the wish for another. */
interface Known {
  /** As the tenant chose, else as the site has it. */
  readonly mode: CertificateMode;
  readonly certificate: Certificate | undefined;
  readonly state: CertificateState | undefined;
  /** The newest that was asked for. */
  readonly rotation: number;
  /** Greater when any of it changes. */
  readonly version: number;
}

/** Reads certificates of pods and asks for new ones, for callers with a right to. Throws `Refused`. */
export class PodCertificates {
  readonly #ports: Pick<ApiPorts, 'store' | 'clock'>;
  readonly #site: Site;
  readonly #records: PodRecords;

  constructor(ports: Pick<ApiPorts, 'store' | 'clock'>, site: Site, records: PodRecords) {
    this.#ports = ports;
    this.#site = site;
    this.#records = records;
  }

  async read(podId: string, caller: Acting): Promise<ShownCertificate> {
    await this.#records.find(podId, caller);
    return (await this.of(podId, caller.tenant)).shown;
  }

  /** Of a pod that the caller was found to have a right to; the version is greater after a change. */
  async of(
    podId: string,
    tenant: string,
  ): Promise<{ readonly shown: ShownCertificate; readonly version: number }> {
    const known = await this.#known(podId, tenant);
    return {
      shown: presentCertificate(known, this.#ports.clock.nowMs()),
      version: known.version,
    };
  }

  /** Lines for the action log: that it is near its end and was not renewed. */
  async warnings(podId: string, tenant: string): Promise<readonly Action[]> {
    const { certificate, state } = await this.#known(podId, tenant);
    return certificate ? warningActions(certificate, state, this.#ports.clock.nowMs()) : [];
  }

  /** Asks for a new key and certificate. Once is enough: what is asked for already is not repeated. */
  async rotate(podId: string, caller: Acting): Promise<ShownCertificate> {
    const id = idOf(podId, caller.tenant);
    await retrying(async () => {
      await this.#records.find(podId, caller);
      if ((await this.#mode(caller.tenant)) === 'wildcard')
        throw new Refused(409, 'It has no certificate of its own: its tenant is in mode wildcard.');
      const requests = certificateRequests(this.#ports.store);
      const request = await requests.get(id);
      const done = (await certificateStates(this.#ports.store).get(id))?.value.rotation ?? 0;
      if (request && request.value.rotation > done) return;
      const expect = request ? { version: request.version } : 'absent';
      await requests.put(id, { rotation: done + 1 }, expect);
    });
    return (await this.of(podId, caller.tenant)).shown;
  }

  async #known(podId: string, tenant: string): Promise<Known> {
    const { store } = this.#ports;
    const mode = await this.#mode(tenant);
    const shared = tenant === this.#site.tenant ? 'wildcard' : `tenant/${tenant}`;
    const id = mode === 'wildcard' ? shared : idOf(podId, tenant);
    const [certificate, state, request] = await Promise.all([
      certificates(store).get(id),
      certificateStates(store).get(id),
      certificateRequests(store).get(id),
    ]);
    return {
      mode,
      certificate: certificate?.value,
      state: state?.value,
      rotation: request?.value.rotation ?? 0,
      version: Math.max(...[certificate, state, request].map((document) => document?.version ?? 0)),
    };
  }

  async #mode(tenant: string): Promise<CertificateMode> {
    const { store } = this.#ports;
    const [chosen, terms] = await Promise.all([
      tenants(store).get(tenant),
      certificateTerms(store).get(siteTermsId),
    ]);
    return chosen?.value.certificateMode ?? terms?.value.mode ?? 'own';
  }
}

const idOf = (podId: string, tenant: string): string => `pod/${podKey(tenant, podId)}`;

function presentCertificate(
  { mode, certificate, state, rotation }: Known,
  nowMs: number,
): ShownCertificate {
  const done = state?.rotation ?? 0;
  return {
    mode,
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

const dayMs = 24 * 60 * 60 * 1000;

function warningOf(certificate: Certificate | undefined, nowMs: number): string | null {
  if (!certificate) return null;
  const leftMs = certificate.notAfterMs - nowMs;
  if (leftMs <= 0) return 'has expired: clients refuse it';
  if (nowMs <= lateAtMs(certificate)) return null;
  const days = Math.ceil(leftMs / dayMs);
  return `expires within ${days} ${days === 1 ? 'day' : 'days'} and was not renewed yet`;
}

function warningActions(
  certificate: Certificate,
  state: CertificateState | undefined,
  nowMs: number,
): Action[] {
  const error = state?.attempts.at(-1)?.error;
  const why = error === undefined ? '' : `; the last try: ${error}`;
  const end = new Date(certificate.notAfterMs).toISOString();
  const lines = [
    { atMs: lateAtMs(certificate), text: `certificate ends ${end} and was not renewed yet${why}` },
    { atMs: certificate.notAfterMs, text: `certificate has expired: clients refuse it${why}` },
  ];
  return lines
    .filter(({ atMs }) => atMs < nowMs)
    .map((line) => ({ ...line, kind: 'certificate_warning' }));
}
