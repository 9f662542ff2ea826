import type { z } from 'zod';
import type { DesiredPod, PermissionLevel } from '#contracts/pod.ts';
import { desiredPods, podKey, podStatuses } from '#contracts/pod.ts';
import { fillPlaceholders } from '#contracts/placeholders.ts';
import { SealBroken } from '#contracts/sealer.ts';
import { WriteConflict } from '#contracts/store.ts';
import type { Definition } from '#contracts/pod.ts';
import type { Acting } from '../access/declared.ts';
import { allows, levelOf } from '../access/levels.ts';
import { Invalid, Refused } from '../errors.ts';
import type { ImageService } from '../images/service.ts';
import type { Wanted } from '../listing.ts';
import { pageOf } from '../listing.ts';
import type { ApiPorts, ApiSettings } from '../ports.ts';
import { retrying } from '../retrying.ts';
import type { Provenance } from '../templates/derive.ts';
import type { TemplateService } from '../templates/service.ts';
import { newPod, nextRun, ownOf, passwordOf, reshaped, updatedPod, withAction } from './edit.ts';
import type { Effective } from './fields.ts';
import { imageRefusal } from './images.ts';
import { actionLines, ownStatus, podState } from './present.ts';
import type { NewPod, UpdatePod, WirePod, zCredentials, zLogs, zPermissions } from './schemas.ts';
import { podListing } from './listing.ts';
import { PodRecords } from './records.ts';
import type { Below } from './shape.ts';
import { definitionOf, explain, shapeOf } from './shape.ts';
import type { zTraffic } from './traffic.ts';
import { presentTraffic } from './traffic.ts';

interface PodTerms {
  readonly settings: ApiSettings;
  readonly images: ImageService;
  readonly templates: TemplateService;
}

/** The operations on pods, as a caller with a right to them sees them. Throws `Refused`, `Invalid`. */
export class PodService {
  readonly #ports: ApiPorts;
  readonly #settings: ApiSettings;
  readonly #records: PodRecords;
  readonly #images: ImageService;
  readonly #templates: TemplateService;

  constructor(ports: ApiPorts, { settings, images, templates }: PodTerms) {
    this.#ports = ports;
    this.#settings = settings;
    this.#records = new PodRecords(ports, settings.domain);
    this.#images = images;
    this.#templates = templates;
  }

  /** Damaged records are left out, and named in the metadata. */
  async list(
    caller: Acting,
    wanted: Wanted,
  ): Promise<{ pods: WirePod[]; metadata: Record<string, unknown> }> {
    const { documents, broken } = await desiredPods(this.#ports.store).list();
    const visible = documents.filter(({ value }) => allows(levelOf(value, caller), 'READ'));
    const statuses = await podStatuses(this.#ports.store).list();
    const byKey = new Map(statuses.documents.map(({ id, value }) => [id, value]));
    const damaged = new Set([...broken, ...statuses.broken].map(({ id }) => id));
    const entries = visible
      .filter(({ id }) => !damaged.has(id))
      .map(({ id, value }) => ({ pod: value, status: ownStatus(value, byKey.get(id)) }));
    const { items, metadata } = pageOf(entries, podListing, wanted);
    const pods: WirePod[] = [];
    for (const { pod, status } of items) {
      try {
        pods.push(this.#records.present(pod, status, caller));
      } catch (error) {
        if (!(error instanceof SealBroken)) throw error;
        damaged.add(podKey(pod.tenant, pod.podId));
      }
    }
    const ours = [...damaged].filter((id) => id.startsWith(podKey(caller.tenant, '')));
    const warnings = ours.map((id) => `pod ${id} is left out: its record is damaged`);
    return { pods, metadata: { ...metadata, ...(warnings.length > 0 ? { warnings } : {}) } };
  }

  async create(body: NewPod, caller: Acting): Promise<WirePod> {
    const { template, ...said } = body;
    const own = definitionOf(said);
    const below = await this.#below(template ?? '', caller);
    const shape = shapeOf(body.pod_id, own, below);
    await this.#refuseImage(shape.effective, shape.effective, caller);
    const { store, random } = this.#ports;
    const key = podKey(caller.tenant, body.pod_id);
    const earlier = (await podStatuses(store).get(key))?.value;
    const pod = newPod(caller.tenant, body, { ...this.#editing(caller), random, earlier, shape });
    try {
      await desiredPods(store).put(key, pod, 'absent');
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
      throw new Refused(409, `Pod with pod_id '${body.pod_id}' already exists, choose another.`);
    }
    return this.#records.present(pod, undefined, caller);
  }

  #below(template: string, caller: Acting): Promise<Below> {
    return template === ''
      ? Promise.resolve({ ref: undefined, layers: [] })
      : this.#templates.resolve(template, caller);
  }

  /** `said` is what this caller says now: what others said was for them to be allowed. */
  async #refuseImage(
    effective: Effective,
    said: Pick<Definition, 'environment_variables'>,
    caller: Acting,
  ): Promise<void> {
    const allowed = await this.#images.mayRun(effective.image, caller.tenant);
    const variables = Object.keys(said.environment_variables ?? {});
    const wish = { ...effective, variables, allowed };
    const refusal = imageRefusal(wish, this.#settings.runtime, caller);
    if (refusal) throw new Invalid([refusal]);
  }

  /** The pod with the tag of this version. */
  async get(podId: string, caller: Acting): Promise<{ pod: WirePod; tag: string }> {
    const { pod, status, tag } = await this.#records.find(podId, caller);
    return { pod: this.#records.present(pod, status, caller), tag };
  }

  /** The updated pod, or with `changed` false the pod as it was. */
  async update(
    podId: string,
    body: UpdatePod,
    caller: Acting,
  ): Promise<{ pod: WirePod; changed: boolean }> {
    let changed = false;
    // Switching a pod on or off is for those who may start and stop it.
    const switches = body.status_requested !== undefined;
    const acting = switches ? { ...caller, needed: 'ADMIN' as const } : caller;
    const said = definitionOf(body);
    const pod = await this.#records.edit(podId, acting, (current, status) => {
      const own = { ...ownOf(current, this.#ports.sealer), ...unsaid(body), ...said };
      const shape = shapeOf(podId, own, belowOf(current));
      const updated = updatedPod(current, body, { ...this.#editing(caller), status, shape });
      // An image that was taken off the list since goes on.
      const variables = Object.keys(said.environment_variables ?? {});
      const wish = updated && { ...updated, variables, allowed: true };
      const refusal = wish && imageRefusal(wish, this.#settings.runtime, caller);
      if (refusal) throw new Invalid([refusal]);
      changed = updated !== undefined;
      return updated;
    });
    return { pod, changed };
  }

  /** The pod as it runs, with who set each of its fields; for those who may use it, filled in. */
  async derived(podId: string, caller: Acting): Promise<{ pod: WirePod; provenance: Provenance }> {
    const { pod, status, rights } = await this.#records.find(podId, caller);
    const { sealer } = this.#ports;
    const own = ownOf(pod, sealer);
    const { provenance } = explain(own, belowOf(pod).layers);
    const { userUsername } = pod.credentials;
    const userPassword = passwordOf(pod, sealer);
    const fill = (text: string): string =>
      allows(rights, 'USER') ? fillPlaceholders(text, { userUsername, userPassword }) : text;
    const { template: _own, ...derived } = pod;
    const shown = this.#records.present(derived, status, caller);
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

  /** What the user himself said of it, as a template would say it. */
  async saidOf(podId: string, caller: Acting): Promise<Definition> {
    const { pod } = await this.#records.find(podId, caller);
    const own = ownOf(pod, this.#ports.sealer);
    return pod.template ? { ...own, template: pod.template.ref } : own;
  }

  async remove(podId: string, caller: Acting): Promise<void> {
    const key = podKey(caller.tenant, podId);
    await retrying(async () => {
      // With its version: what somebody else made under this id meanwhile is not ours to delete.
      const { version } = await this.#records.find(podId, caller);
      await desiredPods(this.#ports.store).remove(key, { version });
    });
  }

  stop(podId: string, caller: Acting): Promise<WirePod> {
    return this.#records.edit(podId, caller, (pod) => {
      const text = `'${caller.username}' ran stop_pod, set to OFF`;
      return withAction({ ...pod, requested: 'OFF' }, text, this.#ports.clock.nowMs());
    });
  }

  start(podId: string, caller: Acting): Promise<WirePod> {
    return this.#records.edit(podId, caller, (pod, status) => {
      if (podState(pod, status) !== 'STOPPED') {
        const advice = "Please run 'stop_pod' or 'restart_pod' instead.";
        throw new Refused(409, `Pod must be in 'STOPPED' status to run 'start_pod'. ${advice}`);
      }
      const text = `'${caller.username}' ran start_pod, set to ON`;
      return withAction({ ...pod, ...nextRun(pod, 'start') }, text, this.#ports.clock.nowMs());
    });
  }

  /** `grabLatest`: from the newest version of the template's tag. */
  async restart(podId: string, caller: Acting, grabLatest: boolean): Promise<WirePod> {
    const below = grabLatest ? await this.#newestBelow(podId, caller) : undefined;
    return this.#records.edit(podId, caller, (current) => {
      const pod = below ? this.#rebased(current, below) : current;
      const text = `'${caller.username}' ran restart_pod, set to RESTART`;
      return withAction({ ...pod, ...nextRun(pod, 'restart') }, text, this.#ports.clock.nowMs());
    });
  }

  async #newestBelow(podId: string, caller: Acting): Promise<Below | undefined> {
    const { pod } = await this.#records.find(podId, caller);
    if (!pod.template) return undefined;
    const [tag = ''] = pod.template.ref.split('@');
    return this.#templates.resolve(tag, caller);
  }

  #rebased(pod: DesiredPod, below: Below): DesiredPod {
    const { sealer } = this.#ports;
    return reshaped(pod, shapeOf(pod.podId, ownOf(pod, sealer), below), sealer);
  }

  async logs(podId: string, caller: Acting): Promise<z.infer<typeof zLogs>> {
    const { pod, status } = await this.#records.find(podId, caller);
    const logs = await this.#ports.logs.read(podKey(caller.tenant, podId));
    return { logs, action_logs: actionLines(pod.actions, status?.actions ?? []) };
  }

  async traffic(podId: string, caller: Acting): Promise<z.infer<typeof zTraffic>> {
    const { pod } = await this.#records.find(podId, caller);
    return presentTraffic(pod, await this.#ports.traffic.read(podKey(caller.tenant, podId)));
  }

  async credentials(podId: string, caller: Acting): Promise<z.infer<typeof zCredentials>> {
    const { pod } = await this.#records.find(podId, caller);
    const password = passwordOf(pod, this.#ports.sealer);
    return { user_username: pod.credentials.userUsername, user_password: password };
  }

  async permissions(podId: string, caller: Acting): Promise<z.infer<typeof zPermissions>> {
    const { pod } = await this.#records.find(podId, caller);
    return permissionList(pod.permissions);
  }

  /** Sets a user's level, or takes it away with `undefined`; somebody must remain ADMIN. */
  async setPermission(
    podId: string,
    grant: { readonly user: string; readonly level: PermissionLevel | undefined },
    caller: Acting,
  ): Promise<z.infer<typeof zPermissions>> {
    const { user, level } = grant;
    let granted: DesiredPod['permissions'] = {};
    await this.#records.edit(podId, caller, (pod) => {
      const { [user]: _had, ...others } = pod.permissions;
      if (level === undefined && !Object.hasOwn(pod.permissions, user)) {
        throw new Invalid([`path, user: '${user}' has no permission on this pod`]);
      }
      const permissions = level === undefined ? others : { ...others, [user]: level };
      if (!Object.values(permissions).includes('ADMIN')) {
        throw new Invalid(['permissions: would leave no user with ADMIN, grant that first']);
      }
      granted = permissions;
      const text = `'${caller.username}' set permission of '${user}' to ${level ?? 'none'}`;
      return withAction({ ...pod, permissions }, text, this.#ports.clock.nowMs());
    });
    return permissionList(granted);
  }

  #editing(caller: Acting) {
    const { sealer, clock } = this.#ports;
    return { sealer, nowMs: clock.nowMs(), username: caller.username };
  }
}

const belowOf = ({ template }: DesiredPod): Below => ({
  ref: template?.ref,
  layers: template?.layers ?? [],
});

/** Fields that are sent as null are given back to templates and defaults. */
const unsaid = (body: UpdatePod): Record<string, undefined> =>
  Object.fromEntries(
    Object.entries(body)
      .filter(([, value]) => value === null)
      .map(([field]) => [field, undefined]),
  );

const permissionList = (permissions: DesiredPod['permissions']): z.infer<typeof zPermissions> => ({
  permissions: Object.entries(permissions).map(([user, level]) => `${user}:${level}`),
});
