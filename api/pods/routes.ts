import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { bodyBytesMax } from '../body-limits.ts';
import { isTagKnown, notModified } from '../entity-tag.ts';
import { answers, success, unchanged } from '../envelope.ts';
import { sendList } from '../list-answer.ts';
import { zFlag } from '../validation.ts';
import { zNewPod, zPermissions, zPod, zSetPermission, zUpdatePod } from './schemas.ts';
import { insightRoutes } from './insight-routes.ts';
import { zPodQuery } from './listing.ts';
import type { PodService } from './service.ts';

const params = z.object({ pod_id: z.string() });
const tags = ['pods'];
const podAnswers = answers(zPod);

const nothingNew = 'Incoming data made no changes to pod. Is incoming data equal to current data?';
/** The note has two sentences, as the wire has them. */
const noteOf = (atRestart: readonly string[]) => ({
  note:
    atRestart.length === 0
      ? ['Pod update applied.', 'It holds already: no restart is needed.']
      : [
          'Pod update applied. The running pod is unchanged.',
          `Restart the pod for the update to take effect: it changes ${atRestart.join(', ')}.`,
        ],
  restart_changes: atRestart,
});

export function podRoutes(app: App, pods: PodService): void {
  collectionRoutes(app, pods);
  podRoute(app, pods);
  lifeRoutes(app, pods);
  insightRoutes(app, pods);
  permissionRoutes(app, pods);
}

function collectionRoutes(app: App, pods: PodService): void {
  app.get(
    '/v3/pods',
    {
      config: { access: 'user' },
      schema: {
        operationId: 'list_pods',
        tags,
        summary: 'The pods I may read',
        querystring: zPodQuery,
        response: answers(z.array(zPod)),
      },
    },
    async (request, reply) => {
      const listed = await pods.lists.list(actingOf(request), request.query);
      const message = 'Pods retrieved successfully.';
      return sendList(reply, listed.pods, { message, metadata: listed.metadata });
    },
  );
  app.post(
    '/v3/pods',
    {
      bodyLimit: bodyBytesMax.pod,
      config: { access: 'user' },
      schema: {
        operationId: 'create_pod',
        tags,
        summary: 'Create a pod',
        body: zNewPod,
        response: podAnswers,
      },
    },
    async (request) => {
      const pod = await pods.create(request.body, actingOf(request));
      return success(pod, 'Pod created successfully.');
    },
  );
}

function podRoute(app: App, pods: PodService): void {
  app.get(
    '/v3/pods/:pod_id',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'get_pod',
        tags,
        summary: 'One pod, with its ETag for If-None-Match and If-Match',
        params,
        response: { ...podAnswers, ...notModified },
      },
    },
    async (request, reply) => {
      const { pod, tag } = await pods.get(request.params.pod_id, actingOf(request));
      if (isTagKnown(request, reply, tag)) return reply.code(304).send(null);
      return success(pod, 'Pod retrieved successfully.');
    },
  );
  app.put(
    '/v3/pods/:pod_id',
    {
      bodyLimit: bodyBytesMax.pod,
      config: { access: 'USER on pod' },
      schema: {
        operationId: 'update_pod',
        tags,
        summary: 'Change a pod; a running one keeps its run',
        params,
        body: zUpdatePod,
        response: podAnswers,
      },
    },
    async (request) => {
      const { pod_id: podId } = request.params;
      const { pod, changed, atRestart } = await pods.update(podId, request.body, actingOf(request));
      if (!changed) return unchanged(pod, nothingNew);
      return success(pod, 'Pod updated successfully.', noteOf(atRestart));
    },
  );
  app.delete(
    '/v3/pods/:pod_id',
    {
      config: { access: 'ADMIN on pod' },
      schema: {
        operationId: 'delete_pod',
        tags,
        summary: 'Delete a pod',
        params,
        response: answers(z.literal('')),
      },
    },
    async (request) => {
      await pods.remove(request.params.pod_id, actingOf(request));
      return success('' as const, 'Pod successfully deleted.');
    },
  );
}

/** GET changes state here because the clients of the wire send GET. */
function lifeRoutes(app: App, pods: PodService): void {
  for (const verb of ['start', 'stop'] as const) {
    app.get(
      `/v3/pods/:pod_id/${verb}`,
      {
        // HEAD is safe by definition (RFC 9110 9.2.1): it must not start or stop anything.
        exposeHeadRoute: false,
        config: { access: 'ADMIN on pod' },
        schema: {
          operationId: `${verb}_pod`,
          tags,
          summary: `${verb} a pod`,
          params,
          response: podAnswers,
        },
      },
      async (request) => {
        const { pod_id: podId } = request.params;
        const pod = await pods[verb](podId, actingOf(request));
        return success(pod, `Updated pod's status_requested by ${verb}_pod.`);
      },
    );
  }
  app.get(
    '/v3/pods/:pod_id/restart',
    {
      exposeHeadRoute: false,
      config: { access: 'ADMIN on pod' },
      schema: {
        operationId: 'restart_pod',
        tags,
        summary: 'restart a pod',
        params,
        querystring: z.strictObject({
          grab_latest_template_tag: zFlag
            .default(false)
            .describe("Run from the newest version of its template's tag."),
        }),
        response: podAnswers,
      },
    },
    async (request) => {
      const { pod_id: podId } = request.params;
      const grab = request.query.grab_latest_template_tag;
      const pod = await pods.restart(podId, actingOf(request), grab);
      return success(pod, "Updated pod's status_requested by restart_pod.");
    },
  );
}

function permissionRoutes(app: App, pods: PodService): void {
  app.get(
    '/v3/pods/:pod_id/permissions',
    {
      config: { access: 'USER on pod' },
      schema: {
        operationId: 'get_pod_permissions',
        tags,
        summary: 'Who may do what',
        params,
        response: answers(zPermissions),
      },
    },
    async (request) =>
      success(
        await pods.permissions(request.params.pod_id, actingOf(request)),
        'Pod permissions retrieved successfully.',
      ),
  );
  app.post(
    '/v3/pods/:pod_id/permissions',
    {
      config: { access: 'ADMIN on pod' },
      schema: {
        operationId: 'set_pod_permission',
        tags,
        summary: 'Let a user do something',
        params,
        body: zSetPermission,
        response: answers(zPermissions),
      },
    },
    async (request) => {
      const { pod_id: podId } = request.params;
      const result = await pods.setPermission(podId, request.body, actingOf(request));
      return success(result, 'Pod permissions updated successfully.');
    },
  );
  app.delete(
    '/v3/pods/:pod_id/permissions/:user',
    {
      config: { access: 'ADMIN on pod' },
      schema: {
        operationId: 'delete_pod_permission',
        tags,
        summary: "Take a user's permission away",
        params: params.extend({ user: z.string() }),
        response: answers(zPermissions),
      },
    },
    async (request) => {
      const { pod_id: podId, user } = request.params;
      const grant = { user, level: undefined };
      const result = await pods.setPermission(podId, grant, actingOf(request));
      return success(result, 'Pod permission deleted successfully.');
    },
  );
}
