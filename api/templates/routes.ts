import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { bodyBytesMax } from '../body-limits.ts';
import { entityTag, isTagKnown, notModified } from '../entity-tag.ts';
import { answers, success, unchanged } from '../envelope.ts';
import { zPermissions, zSetPermission } from '../pods/schemas.ts';
import type { PodService } from '../pods/service.ts';
import type { Listing } from '../listing.ts';
import { listFields, pageOf } from '../listing.ts';
import {
  zNewTag,
  zNewTemplate,
  zTagAnswer,
  zTemplateAnswer,
  zTemplateWithTags,
  zUpdateTemplate,
} from './schemas.ts';
import type { WireTemplate } from './schemas.ts';
import type { TemplateService } from './service.ts';
import { fullQuery, tagRoutes } from './tag-routes.ts';

const tags = ['templates'];
const params = z.object({ template_id: z.string() });
const templateListing: Listing<WireTemplate> = {
  id: (template) => template.template_id,
  texts: (template) => [template.template_id, template.description, ...template.metatags],
  keys: {
    template_id: (template) => template.template_id,
    creation_ts: (template) => template.creation_ts,
    update_ts: (template) => template.update_ts,
  },
};
const nothingNew =
  'Incoming data made no changes to template. Is incoming data equal to current data?';

export function templateRoutes(app: App, templates: TemplateService, pods: PodService): void {
  listRoutes(app, templates);
  addRoutes(app, templates);
  templateRoute(app, templates);
  tagRoutes(app, templates, pods);
  permissionRoutes(app, templates);
}

function listRoutes(app: App, templates: TemplateService): void {
  app.get(
    '/v3/pods/templates',
    {
      config: { access: 'user' },
      schema: {
        operationId: 'list_templates',
        tags,
        summary: 'The templates I may read',
        querystring: z.strictObject(listFields),
        response: answers(z.array(zTemplateAnswer)),
      },
    },
    async (request) => {
      const listed = await templates.list(actingOf(request));
      const { items, metadata } = pageOf(listed, templateListing, request.query);
      return success(items, 'Templates retrieved successfully.', metadata);
    },
  );
  app.get(
    '/v3/pods/templates/tags',
    {
      config: { access: 'user' },
      schema: {
        operationId: 'list_templates_and_tags',
        tags,
        summary: 'The templates I may read, by id, each with its tags',
        querystring: fullQuery,
        response: answers(z.record(z.string().meta({ examples: ['postgres'] }), zTemplateWithTags)),
      },
    },
    async (request) => {
      const listed = await templates.listWithTags(actingOf(request), request.query.full);
      return success(listed, 'Templates and tags retrieved successfully.');
    },
  );
}

/** Twice, since the documentation of the wire and its clients name these operations differently. */
function addRoutes(app: App, templates: TemplateService): void {
  const adding = [
    ['/v3/pods/templates', 'add_template', 'add_template_tag'],
    ['/v3/templates', 'create_template', 'create_template_tag'],
  ] as const;
  for (const [url, addTemplate, addTag] of adding) {
    app.post(
      url,
      {
        bodyLimit: bodyBytesMax.template,
        config: { access: 'user' },
        schema: {
          operationId: addTemplate,
          tags,
          summary: 'Make a template, to which tags can be added',
          body: zNewTemplate,
          response: answers(zTemplateAnswer),
        },
      },
      async (request) => {
        const template = await templates.add(request.body, actingOf(request));
        return success(template, 'Template created successfully.');
      },
    );
    app.post(
      `${url}/:template_id/tags`,
      {
        bodyLimit: bodyBytesMax.tag,
        config: { access: 'USER on template' },
        schema: {
          operationId: addTag,
          tags,
          summary: 'Add a version of a tag; what it defines never changes',
          params,
          body: zNewTag,
          response: answers(zTagAnswer),
        },
      },
      async (request) => {
        const { template_id: id } = request.params;
        const tag = await templates.addTag(id, request.body, actingOf(request));
        return success(tag, 'Template tag added successfully.');
      },
    );
  }
}

function templateRoute(app: App, templates: TemplateService): void {
  const url = '/v3/pods/templates/:template_id';
  app.get(
    url,
    {
      config: { access: 'READ on template' },
      schema: {
        operationId: 'get_template',
        tags,
        summary: 'One template, with its ETag for If-None-Match and If-Match',
        params,
        response: { ...answers(zTemplateAnswer), ...notModified },
      },
    },
    async (request, reply) => {
      const found = await templates.get(request.params.template_id, actingOf(request));
      if (isTagKnown(request, reply, entityTag(found.version))) return reply.code(304).send(null);
      return success(found.template, 'Template retrieved successfully.');
    },
  );
  app.put(
    url,
    {
      bodyLimit: bodyBytesMax.template,
      config: { access: 'USER on template' },
      schema: {
        operationId: 'update_template',
        tags,
        summary: 'Change what is said about a template',
        params,
        body: zUpdateTemplate,
        response: answers(zTemplateAnswer),
      },
    },
    async (request) => {
      const { template_id: id } = request.params;
      const { template, changed } = await templates.update(id, request.body, actingOf(request));
      return changed
        ? success(template, 'Template updated successfully.')
        : unchanged(template, nothingNew);
    },
  );
  app.delete(
    url,
    {
      config: { access: 'ADMIN on template' },
      schema: {
        operationId: 'delete_template',
        tags,
        summary: 'Delete a template; pods made from it stay',
        params,
        response: answers(z.literal('')),
      },
    },
    async (request) => {
      await templates.remove(request.params.template_id, actingOf(request));
      return success('' as const, 'Template successfully deleted.');
    },
  );
}

function permissionRoutes(app: App, templates: TemplateService): void {
  const url = '/v3/pods/templates/:template_id/permissions';
  app.get(
    url,
    {
      config: { access: 'USER on template' },
      schema: {
        operationId: 'get_template_permissions',
        tags,
        summary: 'Who may do what',
        params,
        response: answers(zPermissions),
      },
    },
    async (request) => {
      const list = await templates.permissions(request.params.template_id, actingOf(request));
      return success(list, 'Template permissions retrieved successfully.');
    },
  );
  app.post(
    url,
    {
      config: { access: 'ADMIN on template' },
      schema: {
        operationId: 'set_template_permission',
        tags,
        summary: 'Let a user, a tenant (`tenant.<id>`) or everybody (`**`) do something',
        params,
        body: zSetPermission,
        response: answers(zPermissions),
      },
    },
    async (request) => {
      const { template_id: id } = request.params;
      const list = await templates.setPermission(id, request.body, actingOf(request));
      return success(list, 'Template permissions updated successfully.');
    },
  );
  app.delete(
    `${url}/:user`,
    {
      config: { access: 'ADMIN on template' },
      schema: {
        operationId: 'delete_template_permission',
        tags,
        summary: "Take a user's permission away",
        params: params.extend({ user: z.string() }),
        response: answers(zPermissions),
      },
    },
    async (request) => {
      const { template_id: id, user } = request.params;
      const grant = { user, level: undefined };
      const list = await templates.setPermission(id, grant, actingOf(request));
      return success(list, 'Template permission deleted successfully.');
    },
  );
}
