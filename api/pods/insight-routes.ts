import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { zCredentials, zPod } from './schemas.ts';
import type { PodService } from './service.ts';
import { certificateRoutes } from './certificate-routes.ts';
import { outputRoutes } from './output-routes.ts';
import { zTraffic } from './traffic.ts';

const params = z.object({ pod_id: z.string() });
const tags = ['pods'];

/** What can be learned of a pod beyond its record. */
export function insightRoutes(app: App, pods: PodService): void {
  derivedRoute(app, pods);
  outputRoutes(app, pods.output);
  useRoutes(app, pods);
  certificateRoutes(app, pods.certificates);
}

function derivedRoute(app: App, pods: PodService): void {
  app.get(
    '/v3/pods/:pod_id/derived',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'get_derived_pod',
        tags,
        summary: 'A pod as it runs: merged with its templates, and which of them set each field',
        params,
        response: answers(zPod),
      },
    },
    async (request) => {
      const { pod_id: podId } = request.params;
      const { pod, provenance } = await pods.derived(podId, actingOf(request));
      return success(pod, 'Final derived pod retrieved successfully.', { provenance });
    },
  );
}

function useRoutes(app: App, pods: PodService): void {
  app.get(
    '/v3/pods/:pod_id/traffic',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'get_pod_traffic',
        tags,
        summary: 'What went through the gateway',
        params,
        response: answers(zTraffic),
      },
    },
    async (request) =>
      success(
        await pods.traffic(request.params.pod_id, actingOf(request)),
        'Pod traffic retrieved successfully.',
      ),
  );
  app.get(
    '/v3/pods/:pod_id/credentials',
    {
      config: { access: 'USER on pod' },
      schema: {
        operationId: 'get_pod_credentials',
        tags,
        summary: 'Its own account',
        params,
        response: answers(zCredentials),
      },
    },
    async (request, reply) => {
      void reply.header('cache-control', 'no-store');
      return success(
        await pods.credentials(request.params.pod_id, actingOf(request)),
        'Pod credentials retrieved successfully.',
      );
    },
  );
}
