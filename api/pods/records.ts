import type { Site } from '#contracts/hosts.ts';
import { domainOf, podHost } from '#contracts/hosts.ts';
import type { DesiredPod, PermissionLevel, PodStatus } from '#contracts/pod.ts';
import { desiredPods, podKey, podStatuses } from '#contracts/pod.ts';
import { fillPlaceholders } from '#contracts/placeholders.ts';
import type { Acting } from '../access/declared.ts';
import { allows, levelOf } from '../access/levels.ts';
import type { Caller } from '../auth/caller.ts';
import { requireMatch } from '../entity-tag.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import { retrying } from '../retrying.ts';
import type { Provenance } from '../templates/derive.ts';
import { environmentOf, ownOf, passwordOf } from './edit.ts';
import type { Entry } from './listing.ts';
import { ownStatus, presentPod } from './present.ts';
import type { WirePod } from './schemas.ts';
import { belowOf, explain } from './shape.ts';

/** Pods as they are stored, seen and changed by callers with a right to. */
export class PodRecords {
  readonly #ports: ApiPorts;
  readonly #site: Site;
  /** Seen to have no variables: lists show the same objects again and again. */
  readonly #bare = new WeakSet<DesiredPod>();

  constructor(ports: ApiPorts, site: Site) {
    this.#ports = ports;
    this.#site = site;
  }

  /** Reads, decides, writes if nobody wrote meanwhile; else reads again. */
  edit(
    podId: string,
    caller: Acting,
    change: (pod: DesiredPod, status: PodStatus | undefined) => DesiredPod | undefined,
  ): Promise<WirePod> {
    const key = podKey(caller.tenant, podId);
    return retrying(async () => {
      const { pod, status, version } = await this.find(podId, caller);
      const changed = change(pod, status);
      if (!changed) return this.present(pod, status, caller);
      await desiredPods(this.#ports.store).put(key, changed, { version });
      return this.present(changed, status, caller);
    });
  }

  /** The pod, when the caller has the level that is needed. Throws `Refused`. */
  async find(
    podId: string,
    caller: Acting,
  ): Promise<{
    pod: DesiredPod;
    status: PodStatus | undefined;
    version: number;
    rights: PermissionLevel;
    statusVersion: number;
  }> {
    const key = podKey(caller.tenant, podId);
    const stored = await desiredPods(this.#ports.store).get(key);
    if (!stored) throw new Refused(404, `Pod with identifier pod_id: '${podId}' not found`);
    const rights = levelOf(stored.value, caller);
    if (!allows(rights, caller.needed)) {
      const text = `Not authorized: this needs the permission ${caller.needed} on ${podId}.`;
      throw new Refused(403, text);
    }
    requireMatch(caller.ifMatch, stored.version);
    const status = await podStatuses(this.#ports.store).get(key);
    const { value: pod, version } = stored;
    const statusVersion = status?.version ?? 0;
    return { pod, status: ownStatus(pod, status?.value), version, rights, statusVersion };
  }

  /** Values of the environment may be credentials: they are for those who may use the pod. */
  present(pod: DesiredPod, status: PodStatus | undefined, caller: Caller): WirePod {
    const variables = this.#bare.has(pod) ? {} : this.#variablesOf(pod);
    const mayUse = allows(levelOf(pod, caller), 'USER');
    const hidden = Object.fromEntries(Object.keys(variables).map((name) => [name, '***']));
    const environment = mayUse ? variables : hidden;
    const domain = domainOf(pod.tenant, this.#site);
    return presentPod(pod, status, { domain, environment });
  }

  /** One by one; what cannot be shown is left out, put into `damaged` and told to the operator. */
  *presentAll(
    entries: Iterable<Entry>,
    caller: Caller,
    damaged: Set<string>,
  ): Generator<WirePod, void> {
    for (const { pod, status } of entries) {
      let shown: WirePod;
      try {
        shown = this.present(pod, status, caller);
      } catch (error) {
        // Whatever it is: it hides no other pod, and breaks no answer that has begun.
        const key = podKey(pod.tenant, pod.podId);
        this.#ports.log.error({ pod: key, error: String(error) }, 'pod is left out of a list');
        damaged.add(key);
        continue;
      }
      yield shown;
    }
  }

  /** What its user said. */
  #variablesOf(pod: DesiredPod): Record<string, string> {
    const { sealer } = this.#ports;
    const variables = pod.template
      ? (ownOf(pod, sealer).environment_variables ?? {})
      : environmentOf(pod, sealer);
    if (Object.keys(variables).length === 0) this.#bare.add(pod);
    return variables;
  }

  /** The pod as it runs, with who set each of its fields; for those who may use it, filled in. */
  async derived(podId: string, caller: Acting): Promise<{ pod: WirePod; provenance: Provenance }> {
    const { pod, status, rights } = await this.find(podId, caller);
    const { sealer } = this.#ports;
    const { provenance } = explain(ownOf(pod, sealer), belowOf(pod).layers);
    const own = {
      userUsername: pod.credentials.userUsername,
      userPassword: passwordOf(pod, sealer),
      podHost: podHost(pod.podId, 'default', domainOf(pod.tenant, this.#site)),
    };
    const fill = (text: string): string =>
      allows(rights, 'USER') ? fillPlaceholders(text, own) : text;
    const { template: _own, ...derived } = pod;
    const shown = this.present(derived, status, caller);
    const variables = Object.entries(shown.environment_variables);
    return {
      pod: {
        ...shown,
        template: pod.template?.ref ?? '',
        command: shown.command?.map(fill) ?? null,
        arguments: shown.arguments?.map(fill) ?? null,
        environment_variables: Object.fromEntries(
          variables.map(([name, text]) => [name, fill(text)]),
        ),
      },
      provenance,
    };
  }
}
