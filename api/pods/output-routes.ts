import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { zWireAction } from './actions.ts';
import { zLogQuery } from './log-query.ts';
import type { PodOutput } from './output.ts';
import { zLogs } from './schemas.ts';

const params = z.object({ pod_id: z.string() });
const tags = ['pods'];

/** What the program writes, and what is done to the pod. */
export function outputRoutes(app: App, output: PodOutput): void {
  app.get(
    '/v3/pods/:pod_id/logs',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'get_pod_logs',
        tags,
        summary: 'Output and actions',
        params,
        querystring: zLogQuery,
        response: answers(zLogs),
      },
    },
    async (request) =>
      success(
        await output.logs(request.params.pod_id, request.query, actingOf(request)),
        'Pod logs retrieved successfully.',
      ),
  );
  app.get(
    '/v3/pods/:pod_id/actions',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'list_pod_actions',
        tags,
        summary: 'What was done to the pod, by whom and by which request; the newest of them',
        params,
        response: answers(z.array(zWireAction)),
      },
    },
    async (request) =>
      success(
        await output.actions(request.params.pod_id, actingOf(request)),
        'Pod actions retrieved successfully.',
      ),
  );
}
