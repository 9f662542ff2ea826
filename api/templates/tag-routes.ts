import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { entityTag, isTagKnown, notModified } from '../entity-tag.ts';
import { answers, success } from '../envelope.ts';
import type { PodService } from '../pods/service.ts';
import { zFlag } from '../validation.ts';
import { zSaveAsTag, zTagAnswer } from './schemas.ts';
import type { TemplateService } from './service.ts';

const tags = ['templates'];
const params = z.object({ template_id: z.string() });
export const fullQuery = z.strictObject({
  full: zFlag.default(true).describe('false: without the definitions.'),
});

/** The tags of a template, and pods saved as one. */
export function tagRoutes(app: App, templates: TemplateService, pods: PodService): void {
  saveRoute(app, templates, pods);
  app.get(
    '/v3/pods/templates/:template_id/tags',
    {
      config: { access: 'READ on template' },
      schema: {
        operationId: 'list_template_tags',
        tags,
        summary: 'The tags of a template, newest first',
        params,
        querystring: fullQuery,
        response: { ...answers(z.array(zTagAnswer)), ...notModified },
      },
    },
    async (request, reply) => {
      const { template_id: id } = request.params;
      const found = await templates.tags(id, actingOf(request), request.query.full);
      if (isTagKnown(request, reply, entityTag(found.version))) return reply.code(304).send(null);
      return success(found.tags, 'Template tags retrieved successfully.');
    },
  );
  app.get(
    '/v3/pods/templates/:template_id/tags/:tag_id',
    {
      config: { access: 'READ on template' },
      schema: {
        operationId: 'get_template_tag',
        tags,
        summary: 'All versions of a tag, newest first; or one, as tag@timestamp',
        params: params.extend({ tag_id: z.string() }),
        response: { ...answers(z.array(zTagAnswer)), ...notModified },
      },
    },
    async (request, reply) => {
      const { template_id: id, tag_id: tag } = request.params;
      const found = await templates.tag(id, tag, actingOf(request));
      if (isTagKnown(request, reply, entityTag(found.version))) return reply.code(304).send(null);
      return success(found.tags, 'Template tag retrieved successfully.');
    },
  );
}

function saveRoute(app: App, templates: TemplateService, pods: PodService): void {
  app.post(
    '/v3/pods/:pod_id_net/save_pod_as_template_tag',
    {
      config: { access: 'ADMIN on pod' },
      schema: {
        operationId: 'save_pod_as_template_tag',
        tags: ['pods'],
        summary: 'Add a tag that says what was said of a pod; needs USER on the template too',
        params: z.object({ pod_id_net: z.string() }),
        body: zSaveAsTag,
        response: answers(zTagAnswer),
      },
    },
    async (request) => {
      const acting = actingOf(request);
      const [podId = ''] = request.params.pod_id_net.split('-');
      const definition = await pods.saidOf(podId, acting);
      const { template_id: id, ...tag } = request.body;
      // If-Match named a version of the pod.
      const caller = { ...acting, needed: 'USER' as const, ifMatch: undefined };
      const saved = await templates.saveTag(id, tag, { definition, caller });
      return success(saved, 'Pod saved as template tag successfully.');
    },
  );
}
