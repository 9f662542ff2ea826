import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import fastify from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { accessInWords, enforceAccess } from './access/declared.ts';
import { callerOf } from './auth/caller.ts';
import { authRoutes } from './auth/routes.ts';
import type { Tokens } from './auth/tokens.ts';
import { apiVersion, failure } from './envelope.ts';
import { podRoutes } from './pods/routes.ts';
import type { ApiPorts, ApiSettings } from './ports.ts';
import { answerBrokenRequest, answerErrors, refuseOtherMethods } from './refusals.ts';
import { siteRoutes } from './site/routes.ts';
import { parse } from './validation.ts';

/** A Fastify instance whose handlers get the types of their zod schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

const bodyBytesMax = 1024 * 1024;
const requestMs = 30_000;

/** The REST API as an app that can be served or injected into. */
export async function buildApp(
  ports: ApiPorts,
  { settings, tokens }: { settings: ApiSettings; tokens: Tokens },
): Promise<App> {
  const app: App = fastify({
    bodyLimit: bodyBytesMax,
    requestTimeout: requestMs,
    // Only our own gateway, on this machine, may say where a request came from.
    trustProxy: 'loopback',
    routerOptions: { ignoreTrailingSlash: true },
    clientErrorHandler: answerBrokenRequest,
    // A path that cannot be routed belongs to no route: no hook and no error handler sees it.
    frameworkErrors: (_error, _request, reply) => {
      reply.hijack();
      reply.raw.writeHead(400, { 'content-type': 'application/json' });
      reply.raw.end(JSON.stringify(failure('The path does not decode or has a part too long.')));
    },
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(({ schema, httpPart }) => (data: unknown) => {
    if (!(schema instanceof z.ZodType)) throw new TypeError('schemas are zod types');
    return { value: parse(schema, httpPart ?? 'request', data) };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  acceptJson(app);
  answerErrors(app, ports.log, settings.statusCodes);
  exactContentType(app);

  await describe(app);
  // After the pages of the documentation, which are for anybody.
  const { tenant } = settings;
  enforceAccess(app, (request) => callerOf(request, { store: ports.store, tokens, tenant }));
  const refuseOthers = refuseOtherMethods(app);
  siteRoutes(app, settings, tokens);
  await authRoutes(app, ports, { settings, tokens });
  podRoutes(app, ports, settings);
  refuseOthers();
  return app;
}

/** JSON alone is read; a DELETE may announce it and send nothing, as many clients do. */
function acceptJson(app: App): void {
  app.removeContentTypeParser('text/plain');
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (request.method === 'DELETE' && body === '') done(null);
    else void parseJson(request, String(body), done);
  });
}

/** The Python client compares the whole header with `application/json`; Fastify adds a charset. */
function exactContentType(app: App): void {
  app.addHook('onSend', async (_request, reply) => {
    const type = reply.getHeader('content-type');
    if (type === 'application/json; charset=utf-8')
      reply.header('content-type', 'application/json');
  });
}

async function describe(app: App): Promise<void> {
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
    transform: withAccess,
    transformObject: (document) => withoutInputs(jsonSchemaTransformObject(document)),
  });
  await app.register(swaggerUi, { routePrefix: '/v3/docs' });
  app.get('/v3/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

/** An operation says who may call it. */
const withAccess: typeof jsonSchemaTransform = (route) => {
  const transformed = jsonSchemaTransform(route);
  const access = route.route.config?.access;
  if (!access || !transformed.schema) return transformed;
  const { schema, url } = transformed;
  const security = access === 'anybody' ? { security: [] } : {};
  return { url, schema: { ...schema, description: accessInWords(access), ...security } };
};

/** Named schemas come twice, as sent and as answered; ours with a name are only answered. */
function withoutInputs(document: ReturnType<typeof jsonSchemaTransformObject>) {
  const schemas = ('components' in document && document.components?.schemas) || {};
  for (const name of Object.keys(schemas)) {
    if (name.endsWith('Input')) Reflect.deleteProperty(schemas, name);
  }
  return document;
}
