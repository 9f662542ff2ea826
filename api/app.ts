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
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { authRoutes } from './auth/routes.ts';
import type { Tokens } from './auth/tokens.ts';
import { apiVersion, failure } from './envelope.ts';
import { errorReply } from './errors.ts';
import { podRoutes } from './pods/routes.ts';
import type { ApiPorts, ApiSettings } from './ports.ts';
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
    // A path that does not decode belongs to no route: no hook and no error handler sees it.
    frameworkErrors: (_error, _request, reply) => {
      reply.hijack();
      reply.raw.writeHead(400, { 'content-type': 'application/json' });
      reply.raw.end(JSON.stringify(failure('The path does not decode.')));
    },
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(({ schema, httpPart }) => (data: unknown) => {
    if (!(schema instanceof z.ZodType)) throw new TypeError('schemas are zod types');
    return { value: parse(schema, httpPart ?? 'request', data) };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  acceptForms(app);
  answerErrors(app, ports);
  exactContentType(app);

  await describe(app);
  siteRoutes(app, settings, tokens);
  authRoutes(app, ports, { settings, tokens });
  podRoutes(app, ports, { settings, tokens });
  return app;
}

/** RFC 6749 clients send forms to the token endpoint. */
function acceptForms(app: App): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
}

function answerErrors(app: App, ports: ApiPorts): void {
  app.setErrorHandler((error, request, reply) => {
    const known = errorReply(error);
    if (!known) {
      const { method, url } = request.routeOptions;
      ports.log.error({ method, route: url, error: String(error) }, 'request failed unexpectedly');
    }
    const { status, message } = known ?? { status: 500, message: 'Unexpected error.' };
    return reply.code(status).send(failure(message));
  });
  app.setNotFoundHandler((request, reply) => {
    const [path] = request.url.split('?');
    const message = `Request path '${path}' (${request.method}) does not match any API route.`;
    return reply.code(404).send(failure(message));
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
        securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Tapis-Token' } },
      },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  await app.register(swaggerUi, { routePrefix: '/v3/docs' });
  app.get('/v3/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}
