import { podHost } from '#contracts/hosts.ts';
import type { DesiredPod, PodState, PodStatus } from '#contracts/pod.ts';
import { timestamp } from '../times.ts';
import type { ShownCertificate } from './certificate-schema.ts';
import type { ShownNetwork } from './networking.ts';
import { wireNetwork } from './networking.ts';
import type { WirePod } from './schemas.ts';

/** A pod as the wire shows it: all fields, always, with naive UTC times. */
export function presentPod(
  desired: DesiredPod,
  status: PodStatus | undefined,
  options: { readonly domain: string; readonly environment: Record<string, string> },
): WirePod {
  return {
    pod_id: desired.podId,
    ...saidFields(desired),
    environment_variables: options.environment,
    status_requested: statusRequested(desired, status),
    volume_mounts: {},
    time_to_stop_default: desired.timeToStopDefault,
    time_to_stop_instance: desired.timeToStopInstance,
    networking: presentNetworking(desired, options.domain),
    resources: desired.resources,
    compute_queue: desired.computeQueue,
    time_to_stop_ts: timestamp(status?.stopAtMs),
    status: podState(desired, status),
    status_container: presentContainer(status),
    creation_ts: timestamp(desired.createdAtMs),
    update_ts: timestamp(desired.updatedAtMs),
    start_instance_ts: timestamp(status?.startedAtMs),
  };
}

/** What the template gives is seen in the derived pod; here stands what was said of this one. */
export function saidFields(desired: DesiredPod) {
  const { template } = desired;
  const said = template ? template.own : desired;
  return {
    image: said.image ?? '',
    template: template?.ref ?? '',
    description: said.description ?? '',
    command: said.command ?? null,
    arguments: said.arguments ?? null,
  };
}

export function statusRequested(
  { requested, generation, generationCause }: DesiredPod,
  status: PodStatus | undefined,
): 'ON' | 'OFF' | 'RESTART' {
  if (requested === 'OFF' || status?.expiredGeneration === generation) return 'OFF';
  const pending = status === undefined || status.generation < generation;
  return generationCause === 'restart' && pending ? 'RESTART' : 'ON';
}

/**
 * The status, unless an earlier pod of this id left it behind and is still being cleaned up: what
 * belongs to this pod has its generation.
 */
export const ownStatus = (
  { generation, generationCause }: DesiredPod,
  status: PodStatus | undefined,
): PodStatus | undefined =>
  generationCause === 'create' && status && status.generation < generation ? undefined : status;

/** The state users see: what the controller wrote, unless a newer wish has not reached it yet. */
export function podState(desired: DesiredPod, status: PodStatus | undefined): PodState {
  if (!status) return desired.requested === 'ON' ? 'REQUESTED' : 'STOPPED';
  const waiting = desired.requested === 'ON' && status.generation < desired.generation;
  const ended = ['STOPPED', 'ERROR', 'COMPLETE'].includes(status.state);
  return waiting && ended ? 'REQUESTED' : status.state;
}

function presentNetworking(desired: DesiredPod, domain: string): Record<string, ShownNetwork> {
  const networks = Object.entries(desired.networking).map(([name, network]) => {
    const url = network.protocol === 'local_only' ? '' : podHost(desired.podId, name, domain);
    return [name, wireNetwork(network, url)] as const;
  });
  return Object.fromEntries(networks);
}

/** The pod with its certificate at each network that the gateway reaches. */
export function withCertificate(pod: WirePod, certificate: ShownCertificate): WirePod {
  const networks = Object.entries(pod.networking).map(([name, network]) => {
    if (network.protocol === 'local_only') return [name, network] as const;
    return [name, { ...network, cert_state: certificate.phase, certificate }] as const;
  });
  return { ...pod, networking: Object.fromEntries(networks) };
}

function presentContainer(status: PodStatus | undefined): WirePod['status_container'] {
  if (!status || status.phase === '') return {};
  return {
    phase: status.phase,
    start_time: timestamp(status.startedAtMs),
    message: status.message,
  };
}
