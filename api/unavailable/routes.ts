import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers } from '../envelope.ts';
import { Refused } from '../errors.ts';
import type { PodService } from '../pods/service.ts';
import type { Unavailable } from './operations.ts';
import { unavailable } from './operations.ts';

/** Answers 501, to those who might use the operation if it were there. */
export function unavailableRoutes(app: App, pods: PodService): void {
  for (const operation of unavailable) unavailableRoute(app, operation, pods);
}

function unavailableRoute(app: App, operation: Unavailable, pods: PodService): void {
  const { operationId, method, path, access } = operation;
  const names = [...path.matchAll(/:(\w+)|(\*)/g)].map(([, name]) => name ?? '*');
  const [first = ''] = path.split('/').slice(1);
  app.route({
    method,
    url: `/v3/pods${path}`,
    config: { access },
    // GET stands for actions on this wire: HEAD must not stand for them too.
    exposeHeadRoute: false,
    schema: {
      operationId,
      tags: [first.startsWith(':') ? 'pods' : first],
      summary: 'Not available yet: answers 501',
      params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))),
      response: answers(z.null()),
    },
    // Before the body is read, whatever it is.
    onRequest: async (request) => {
      const podId: unknown = Reflect.get(Object(request.params), 'pod_id');
      if (typeof podId === 'string') await pods.get(podId, actingOf(request));
      throw new Refused(501, `${operationId} is not available yet.`);
    },
    handler: () => undefined,
  });
}
