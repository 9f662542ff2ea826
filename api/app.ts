import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import fastify from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { enforceAccess } from './access/declared.ts';
import { callerOf } from './auth/caller.ts';
import { authRoutes } from './auth/routes.ts';
import type { Identities } from './auth/identity.ts';
import { Issuers } from './auth/issuers.ts';
import { UserAdministration } from './auth/user-administration.ts';
import { bodyBytesMax } from './body-limits.ts';
import { heedIdempotencyKeys } from './idempotency.ts';
import { imageRoutes } from './images/routes.ts';
import { ImageService } from './images/service.ts';
import { describeApi } from './openapi.ts';
import { gatewayRoutes } from './gateway/routes.ts';
import { podRoutes } from './pods/routes.ts';
import { PodService } from './pods/service.ts';
import { templateRoutes } from './templates/routes.ts';
import { TemplateService } from './templates/service.ts';
import { ruleTraffic } from './traffic-rules.ts';
import { unavailableRoutes } from './unavailable/routes.ts';
import type { ApiPorts, ApiSettings } from './ports.ts';
import {
  answerBrokenRequest,
  answerErrors,
  answerUnroutable,
  refuseOtherMethods,
} from './refusals.ts';
import { requestIds, tellRequestIds } from './request-id.ts';
import { siteRoutes } from './site/routes.ts';
import { tenantRoutes } from './tenants/routes.ts';
import type { Tenants } from './tenants/tenants.ts';
import { parse } from './validation.ts';

/** A Fastify instance whose handlers get the types of their zod schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

const requestMs = 30_000;

interface ApiParts {
  readonly settings: ApiSettings;
  readonly identities: Identities;
  readonly tenants: Tenants;
}

/** The REST API as an app that can be served or injected into. */
export async function buildApp(
  ports: ApiPorts,
  { settings, identities, tenants }: ApiParts,
): Promise<App> {
  const newId = requestIds(ports.random);
  const app: App = fastify({
    genReqId: ({ headers }) => newId(headers),
    // Requests that are under way get their answer; who then holds on is cut by who stops us.
    forceCloseConnections: 'idle',
    bodyLimit: bodyBytesMax.usual,
    requestTimeout: requestMs,
    // Only our own gateways may say where a request came from.
    trustProxy: [...settings.trustedProxies],
    routerOptions: { ignoreTrailingSlash: true },
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, newId()),
    frameworkErrors: (_error, { id }, reply) => answerUnroutable(reply, id),
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(({ schema, httpPart }) => (data: unknown) => {
    if (!(schema instanceof z.ZodType)) throw new TypeError('schemas are zod types');
    return { value: parse(schema, httpPart ?? 'request', data) };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  tellRequestIds(app, ports.log);
  acceptJson(app);
  answerErrors(app, ports.log, settings.statusCodes);
  exactContentType(app);

  const limitStrangers = await ruleTraffic(app, settings.requestsPerMinute, ports);
  heedIdempotencyKeys(app, ports);
  await describeApi(app);
  // After the pages of the documentation, which are for anybody.
  const credentials = {
    store: ports.store,
    tenants,
    identities,
    issuers: new Issuers(ports.clock),
  };
  const identify = limitStrangers((request) => callerOf(request, credentials));
  enforceAccess(app, identify);
  const refuseOthers = refuseOtherMethods(app);
  siteRoutes(app, ports.store, settings.domain);
  const people = new UserAdministration(ports, identities);
  tenantRoutes(app, { ...settings, tenants, identities, people });
  await authRoutes(app, ports, { identities, people });
  const images = new ImageService(ports, settings);
  imageRoutes(app, images);
  const templates = new TemplateService(ports);
  const pods = new PodService(ports, { settings, images, templates });
  templateRoutes(app, templates, pods);
  podRoutes(app, pods);
  gatewayRoutes(app, ports);
  unavailableRoutes(app, pods);
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
