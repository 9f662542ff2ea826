import { restartChanges } from './restart-changes.ts';
import type { z } from 'zod';
import type { Action, Definition, DesiredPod, PermissionLevel } from '#contracts/pod.ts';
import { desiredPods, podKey, podStatuses } from '#contracts/pod.ts';
import { WriteConflict } from '#contracts/store.ts';
import type { Acting } from '../access/declared.ts';
import { entityTag } from '../entity-tag.ts';
import { Invalid, Refused } from '../errors.ts';
import type { ImageService } from '../images/service.ts';
import type { ApiPorts, ApiSettings } from '../ports.ts';
import { retrying } from '../retrying.ts';
import type { TemplateService } from '../templates/service.ts';
import {
  actionOf,
  environmentOf,
  newPod,
  nextRun,
  ownOf,
  passwordOf,
  reshaped,
  updatedPod,
  withAction,
} from './edit.ts';
import { PodCertificates } from './certificate.ts';
import type { Effective } from './fields.ts';
import { changedNames, imageRefusal } from './images.ts';
import { PodOutput } from './output.ts';
import { podState, withCertificate } from './present.ts';
import type { NewPod, UpdatePod, WirePod, zCredentials, zPermissions } from './schemas.ts';
import { PodLists } from './listing.ts';
import { PodRecords } from './records.ts';
import type { Below } from './shape.ts';
import { belowOf, definitionOf, shapeOf, unsaid } from './shape.ts';
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
  readonly output: PodOutput;
  readonly lists: PodLists;
  readonly certificates: PodCertificates;

  constructor(ports: ApiPorts, { settings, images, templates }: PodTerms) {
    this.#ports = ports;
    this.#settings = settings;
    this.#records = new PodRecords(ports, settings);
    this.certificates = new PodCertificates(ports, settings, this.#records);
    this.output = new PodOutput(ports, this.#records, this.certificates);
    this.#images = images;
    this.#templates = templates;
    this.lists = new PodLists(ports.store, this.#records);
  }

  async create(body: NewPod, caller: Acting): Promise<WirePod> {
    const { template, ...said } = body;
    const own = definitionOf(said);
    const below = await this.#below(template ?? '', caller);
    const shape = shapeOf(body.pod_id, own, below);
    await this.#refuseImage(shape.effective, caller);
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
    return this.#certified(this.#records.present(pod, undefined, caller), caller);
  }

  async #certified(pod: WirePod, { tenant }: Acting): Promise<WirePod> {
    return withCertificate(pod, (await this.certificates.of(pod.pod_id, tenant)).shown);
  }

  async #edit(...terms: Parameters<PodRecords['edit']>): Promise<WirePod> {
    return this.#certified(await this.#records.edit(...terms), terms[1]);
  }

  #below(template: string, caller: Acting): Promise<Below> {
    return template === ''
      ? Promise.resolve({ ref: undefined, layers: [] })
      : this.#templates.resolve(template, caller);
  }

  async #refuseImage(effective: Effective, caller: Acting): Promise<void> {
    const allowed = await this.#images.mayRun(effective.image, caller.tenant);
    const variables = Object.keys(effective.environment_variables);
    this.#refuse({ ...effective, variables, allowed }, caller);
  }

  #refuse(wish: Parameters<typeof imageRefusal>[0], caller: Acting): void {
    const refusal = imageRefusal(wish, this.#settings.runtime, caller);
    if (refusal) throw new Invalid([refusal]);
  }

  /** The pod and its certificate, with the tag of this version. */
  async get(podId: string, caller: Acting): Promise<{ pod: WirePod; tag: string }> {
    const { pod, status, version, statusVersion } = await this.#records.find(podId, caller);
    const certificate = await this.certificates.of(podId, caller.tenant);
    // A store counts over everything in it: what changed last has the greatest version.
    const tag = entityTag(version, Math.max(statusVersion, certificate.version));
    const shown = this.#records.present(pod, status, caller);
    return { pod: withCertificate(shown, certificate.shown), tag };
  }

  /** The updated pod, or with `changed` false the pod as it was. */
  async update(
    podId: string,
    body: UpdatePod,
    caller: Acting,
  ): Promise<{ pod: WirePod; changed: boolean; atRestart: readonly string[] }> {
    let changed = false;
    let atRestart: readonly string[] = [];
    // Switching a pod on or off is for those who may start and stop it.
    const switches = body.status_requested !== undefined;
    const acting = switches ? { ...caller, needed: 'ADMIN' as const } : caller;
    const said = definitionOf(body);
    const pod = await this.#edit(podId, acting, (current, status) => {
      const own = { ...ownOf(current, this.#ports.sealer), ...unsaid(body), ...said };
      const shape = shapeOf(podId, own, belowOf(current));
      const updated = updatedPod(current, body, { ...this.#editing(caller), status, shape });
      // An image that was taken off the list since goes on.
      if (updated) this.#refuseChange(current, updated, { said, allowed: true, caller });
      changed = updated !== undefined;
      if (updated) atRestart = restartChanges(current, updated, this.#ports.sealer);
      return updated;
    });
    return { pod, changed, atRestart };
  }

  async derived(podId: string, caller: Acting): ReturnType<PodRecords['derived']> {
    const { pod, provenance } = await this.#records.derived(podId, caller);
    return { pod: await this.#certified(pod, caller), provenance };
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
    return this.#edit(podId, caller, (pod) => {
      const text = `'${caller.username}' ran stop_pod, set to OFF`;
      return withAction({ ...pod, requested: 'OFF' }, this.#action('stop', text, caller));
    });
  }

  start(podId: string, caller: Acting): Promise<WirePod> {
    return this.#edit(podId, caller, (pod, status) => {
      if (podState(pod, status) !== 'STOPPED') {
        const advice = "Please run 'stop_pod' or 'restart_pod' instead.";
        throw new Refused(409, `Pod must be in 'STOPPED' status to run 'start_pod'. ${advice}`);
      }
      const text = `'${caller.username}' ran start_pod, set to ON`;
      const action = this.#action('start', text, caller);
      return withAction({ ...pod, ...nextRun(pod, 'start') }, action);
    });
  }

  /** `grabLatest`: from the newest version of the template's tag. */
  async restart(podId: string, caller: Acting, grabLatest: boolean): Promise<WirePod> {
    const newest = grabLatest ? await this.#newestBelow(podId, caller) : undefined;
    return this.#edit(podId, caller, (current) => {
      const pod = newest ? this.#rebased(current, newest.below) : current;
      if (newest) this.#refuseChange(current, pod, { said: {}, allowed: newest.allowed, caller });
      const text = `'${caller.username}' ran restart_pod, set to RESTART`;
      const action = this.#action('restart', text, caller);
      return withAction({ ...pod, ...nextRun(pod, 'restart') }, action);
    });
  }

  async #newestBelow(podId: string, caller: Acting) {
    const { pod } = await this.#records.find(podId, caller);
    if (!pod.template) return undefined;
    const [tag = ''] = pod.template.ref.split('@');
    const below = await this.#templates.resolve(tag, caller);
    const { image } = this.#rebased(pod, below);
    return { below, allowed: await this.#images.mayRun(image, caller.tenant) };
  }

  /**
   * A template can bring another image, command or variables: they are checked like the caller's
   * own words. What was there before was for others to be allowed.
   */
  #refuseChange(
    before: DesiredPod,
    after: DesiredPod,
    { said, allowed, caller }: { said: Definition; allowed: boolean; caller: Acting },
  ): void {
    const { sealer } = this.#ports;
    const changed = changedNames(environmentOf(before, sealer), environmentOf(after, sealer));
    const variables = [...Object.keys(said.environment_variables ?? {}), ...changed];
    const wish = { ...after, variables, allowed: allowed || after.image === before.image };
    this.#refuse(wish, caller);
  }

  #rebased(pod: DesiredPod, below: Below): DesiredPod {
    const { sealer } = this.#ports;
    return reshaped(pod, shapeOf(pod.podId, ownOf(pod, sealer), below), sealer);
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
      const kind = level === undefined ? 'delete_permission' : 'set_permission';
      return withAction({ ...pod, permissions }, this.#action(kind, text, caller));
    });
    return permissionList(granted);
  }

  #editing({ username, service, requestId }: Acting) {
    const { sealer, clock } = this.#ports;
    return { sealer, nowMs: clock.nowMs(), username, service, requestId };
  }

  #action(kind: NonNullable<Action['kind']>, text: string, caller: Acting): Action {
    return actionOf(kind, text, this.#editing(caller));
  }
}

const permissionList = (permissions: DesiredPod['permissions']): z.infer<typeof zPermissions> => ({
  permissions: Object.entries(permissions).map(([user, level]) => `${user}:${level}`),
});
