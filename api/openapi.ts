import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { accessInWords } from './access/declared.ts';
import type { App } from './app.ts';
import { apiVersion } from './envelope.ts';
import { addExamples } from './examples.ts';
import { wildcardPaths } from './unavailable/operations.ts';

/** The OpenAPI 3.1 document of the routes made from here on, as JSON, as YAML and as pages. */
export async function describeApi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Podgate',
        description: 'Runs pods and gives each its own secure address.',
        version: apiVersion,
      },
      components: {
        securitySchemes: {
          token: { type: 'apiKey', in: 'header', name: 'X-Tapis-Token' },
          bearer: { type: 'http', scheme: 'bearer' },
        },
      },
      security: [{ token: [] }, { bearer: [] }],
    },
    transform: describeRoute,
    transformObject: (document) => addExamples(withoutInputs(jsonSchemaTransformObject(document))),
  });
  await app.register(swaggerUi, { routePrefix: '/v3/docs' });
  const hidden = { schema: { hide: true }, config: { access: 'anybody' } } as const;
  app.get('/v3/openapi.json', hidden, async () => app.swagger());
  app.get('/v3/openapi.yaml', hidden, async (_request, reply) =>
    // RFC 9512 names the type.
    reply.type('application/yaml').send(app.swagger({ yaml: true })),
  );
}

/** Paths of the framework whose last part may have slashes, with the name that part has for people. */
const wildcards: Readonly<Record<string, string>> = {
  '/v3/pods/images/*': 'image_id',
  ...wildcardPaths,
};

/** An operation says who may call it, and names what its path ends with. */
const describeRoute: typeof jsonSchemaTransform = (route) => {
  const name = wildcards[route.url];
  const access = route.route.config?.access;
  const { schema, url } = jsonSchemaTransform(route);
  if (!access || !schema || schema['hide'] === true) return { schema, url };
  return {
    url: name ? url.replace('*', `:${name}`) : url,
    schema: {
      ...schema,
      ...(name ? { params: renamed(schema['params'], name) } : {}),
      description: accessInWords(access),
      ...(access === 'anybody' ? { security: [] } : {}),
    },
  };
};

/** The schema of path parameters in which the wildcard has a name. */
const renamed = (params: unknown, name: string): unknown =>
  JSON.parse(JSON.stringify(params).replaceAll('"*"', JSON.stringify(name)));

/** Named schemas come twice, as sent and as answered; ours with a name are only answered. */
function withoutInputs(document: ReturnType<typeof jsonSchemaTransformObject>) {
  const schemas = ('components' in document && document.components?.schemas) || {};
  for (const name of Object.keys(schemas)) {
    if (name.endsWith('Input')) Reflect.deleteProperty(schemas, name);
  }
  return document;
}
