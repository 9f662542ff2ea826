import type { z } from 'zod';
import type { DesiredPod, PermissionLevel, PodStatus } from '#contracts/pod.ts';
import { desiredPods, podKey, podStatuses } from '#contracts/pod.ts';
import { SealBroken } from '#contracts/sealer.ts';
import { WriteConflict } from '#contracts/store.ts';
import type { Acting } from '../access/declared.ts';
import { allows, levelOf } from '../access/levels.ts';
import { Invalid, Refused } from '../errors.ts';
import type { ImageService } from '../images/service.ts';
import type { ApiPorts, ApiSettings } from '../ports.ts';
import { environmentOf, newPod, nextRun, passwordOf, updatedPod, withAction } from './edit.ts';
import { imageRefusal } from './images.ts';
import { actionLines, ownStatus, podState, presentPod } from './present.ts';
import type { NewPod, UpdatePod, WirePod, zCredentials, zLogs, zPermissions } from './schemas.ts';
import { networkingProblem } from './schemas.ts';
import type { zTraffic } from './traffic.ts';
import { presentTraffic } from './traffic.ts';

const conflictRetriesMax = 5;

/** The operations on pods, as a caller with a right to them sees them. Throws `Refused`, `Invalid`. */
export class PodService {
  readonly #ports: ApiPorts;
  readonly #settings: ApiSettings;
  readonly #images: ImageService;

  constructor(
    ports: ApiPorts,
    { settings, images }: { readonly settings: ApiSettings; readonly images: ImageService },
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#images = images;
  }

  async list(caller: Acting): Promise<{ pods: WirePod[]; warnings: string[] }> {
    const { documents, broken } = await desiredPods(this.#ports.store).list();
    const visible = documents.filter(({ value }) => allows(levelOf(value, caller), 'READ'));
    const statuses = await podStatuses(this.#ports.store).list();
    const byKey = new Map(statuses.documents.map(({ id, value }) => [id, value]));
    const damaged = new Set([...broken, ...statuses.broken].map(({ id }) => id));
    const pods: WirePod[] = [];
    for (const { id, value } of visible) {
      if (damaged.has(id)) continue;
      try {
        pods.push(this.#present(value, ownStatus(value, byKey.get(id)), caller));
      } catch (error) {
        if (!(error instanceof SealBroken)) throw error;
        damaged.add(id);
      }
    }
    const ours = [...damaged].filter((id) => id.startsWith(podKey(caller.tenant, '')));
    return { pods, warnings: ours.map((id) => `pod ${id} is left out: its record is damaged`) };
  }

  /** `sent` are the keys of the body before defaults: what the user really asked for. */
  async create(body: NewPod, sent: readonly string[], caller: Acting): Promise<WirePod> {
    const variables = Object.keys(body.environment_variables);
    const allowed = await this.#images.mayRun(body.image, caller.tenant);
    const refusal = imageRefusal({ ...body, variables, allowed }, this.#settings.runtime, caller);
    if (refusal) throw new Invalid([refusal]);
    const { store, random } = this.#ports;
    const key = podKey(caller.tenant, body.pod_id);
    const earlier = (await podStatuses(store).get(key))?.value;
    const pod = newPod(caller.tenant, body, { ...this.#editing(caller), random, earlier, sent });
    try {
      await desiredPods(store).put(key, pod, 'absent');
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
      throw new Refused(409, `Pod with pod_id '${body.pod_id}' already exists, choose another.`);
    }
    return this.#present(pod, undefined, caller);
  }

  async get(podId: string, caller: Acting): Promise<WirePod> {
    const { pod, status } = await this.#find(podId, caller);
    return this.#present(pod, status, caller);
  }

  /** The updated pod, or with `changed` false the pod as it was. */
  async update(
    podId: string,
    body: UpdatePod,
    caller: Acting,
  ): Promise<{ pod: WirePod; changed: boolean }> {
    const problem = body.networking && networkingProblem(podId, body.networking);
    if (problem) throw new Invalid([problem]);
    let changed = false;
    // Switching a pod on or off is for those who may start and stop it.
    const acting =
      body.status_requested === undefined ? caller : { ...caller, needed: 'ADMIN' as const };
    const pod = await this.#edit(podId, acting, (current, status) => {
      const updated = updatedPod(current, body, { ...this.#editing(caller), status });
      const variables = Object.keys(body.environment_variables ?? {});
      // An image that was taken off the list since goes on.
      const wish = updated && { ...updated, variables, allowed: true };
      const refusal = wish && imageRefusal(wish, this.#settings.runtime, caller);
      if (refusal) throw new Invalid([refusal]);
      changed = updated !== undefined;
      return updated;
    });
    return { pod, changed };
  }

  async remove(podId: string, caller: Acting): Promise<void> {
    const key = podKey(caller.tenant, podId);
    await retrying(async () => {
      // With its version: what somebody else made under this id meanwhile is not ours to delete.
      const { version } = await this.#find(podId, caller);
      await desiredPods(this.#ports.store).remove(key, { version });
    });
  }

  stop(podId: string, caller: Acting): Promise<WirePod> {
    return this.#edit(podId, caller, (pod) => {
      const text = `'${caller.username}' ran stop_pod, set to OFF`;
      return withAction({ ...pod, requested: 'OFF' }, text, this.#ports.clock.nowMs());
    });
  }

  start(podId: string, caller: Acting): Promise<WirePod> {
    return this.#edit(podId, caller, (pod, status) => {
      if (podState(pod, status) !== 'STOPPED') {
        const advice = "Please run 'stop_pod' or 'restart_pod' instead.";
        throw new Refused(409, `Pod must be in 'STOPPED' status to run 'start_pod'. ${advice}`);
      }
      const text = `'${caller.username}' ran start_pod, set to ON`;
      return withAction({ ...pod, ...nextRun(pod, 'start') }, text, this.#ports.clock.nowMs());
    });
  }

  restart(podId: string, caller: Acting): Promise<WirePod> {
    return this.#edit(podId, caller, (pod) => {
      const text = `'${caller.username}' ran restart_pod, set to RESTART`;
      return withAction({ ...pod, ...nextRun(pod, 'restart') }, text, this.#ports.clock.nowMs());
    });
  }

  async logs(podId: string, caller: Acting): Promise<z.infer<typeof zLogs>> {
    const { pod, status } = await this.#find(podId, caller);
    const logs = await this.#ports.logs.read(podKey(caller.tenant, podId));
    return { logs, action_logs: actionLines(pod.actions, status?.actions ?? []) };
  }

  async traffic(podId: string, caller: Acting): Promise<z.infer<typeof zTraffic>> {
    const { pod } = await this.#find(podId, caller);
    return presentTraffic(pod, await this.#ports.traffic.read(podKey(caller.tenant, podId)));
  }

  async credentials(podId: string, caller: Acting): Promise<z.infer<typeof zCredentials>> {
    const { pod } = await this.#find(podId, caller);
    const password = passwordOf(pod, this.#ports.sealer);
    return { user_username: pod.credentials.userUsername, user_password: password };
  }

  async permissions(podId: string, caller: Acting): Promise<z.infer<typeof zPermissions>> {
    const { pod } = await this.#find(podId, caller);
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
    await this.#edit(podId, caller, (pod) => {
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

  /** Reads, decides, writes if nobody wrote meanwhile; else reads again. */
  #edit(
    podId: string,
    caller: Acting,
    change: (pod: DesiredPod, status: PodStatus | undefined) => DesiredPod | undefined,
  ): Promise<WirePod> {
    const key = podKey(caller.tenant, podId);
    return retrying(async () => {
      const { pod, status, version } = await this.#find(podId, caller);
      const changed = change(pod, status);
      if (!changed) return this.#present(pod, status, caller);
      await desiredPods(this.#ports.store).put(key, changed, { version });
      return this.#present(changed, status, caller);
    });
  }

  async #find(
    podId: string,
    caller: Acting,
  ): Promise<{ pod: DesiredPod; status: PodStatus | undefined; version: number }> {
    const key = podKey(caller.tenant, podId);
    const stored = await desiredPods(this.#ports.store).get(key);
    if (!stored) throw new Refused(404, `Pod with identifier pod_id: '${podId}' not found`);
    if (!allows(levelOf(stored.value, caller), caller.needed)) {
      const text = `Not authorized: this needs the permission ${caller.needed} on ${podId}.`;
      throw new Refused(403, text);
    }
    const status = (await podStatuses(this.#ports.store).get(key))?.value;
    const { value: pod, version } = stored;
    return { pod, status: ownStatus(pod, status), version };
  }

  /** Values of the environment may be credentials: they are for those who may use the pod. */
  #present(pod: DesiredPod, status: PodStatus | undefined, caller: Acting): WirePod {
    const variables = environmentOf(pod, this.#ports.sealer);
    const mayUse = allows(levelOf(pod, caller), 'USER');
    const hidden = Object.fromEntries(Object.keys(variables).map((name) => [name, '***']));
    const environment = mayUse ? variables : hidden;
    return presentPod(pod, status, { domain: this.#settings.domain, environment });
  }

  #editing(caller: Acting) {
    const { sealer, clock } = this.#ports;
    return { sealer, nowMs: clock.nowMs(), username: caller.username };
  }
}

const permissionList = (permissions: DesiredPod['permissions']): z.infer<typeof zPermissions> => ({
  permissions: Object.entries(permissions).map(([user, level]) => `${user}:${level}`),
});

/** Tries again when somebody else wrote between our read and our write. */
async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof WriteConflict) || tries === conflictRetriesMax) throw error;
    }
  }
}
