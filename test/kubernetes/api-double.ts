import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import { configFor } from './api-server.ts';
import { Faults } from './faults.ts';
import type { Target } from './resources.ts';
import { targetOf } from './resources.ts';
import { isObject } from './schema.ts';
import { StatusError } from './status.ts';
import { notFound, Store } from './store.ts';
import { listAnswer, watchAnswer } from './list-watch.ts';
import { Writes } from './writes.ts';

/** Who may do what: everything, or all but these, as `verb resource`. */
interface DoubleUser {
  readonly forbidden: ReadonlySet<string>;
}

interface DoubleRequest {
  readonly token: string;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

const admin = 'admin-token';

/**
 * An API server in this process, for tests that cannot bring a real one: its wire behaviour, as far
 * as Podgate meets it, strict about every body. What it does was compared with the real one by
 * running the same suites on both.
 */
export class ApiDouble {
  readonly store = new Store();
  readonly faults = new Faults();
  readonly users = new Map<string, DoubleUser>([[admin, { forbidden: new Set() }]]);
  /** What was asked, and with whose token. */
  readonly requests: DoubleRequest[] = [];
  readonly #writes = new Writes(this.store);
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
  }

  static async start(): Promise<ApiDouble> {
    const double = new ApiDouble();
    double.#server.listen(0, '127.0.0.1');
    await once(double.#server, 'listening');
    return double;
  }

  config(token = admin): KubeConfig {
    const { port } = this.#server.address() as AddressInfo;
    return configFor(`http://127.0.0.1:${port}`, token);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      if (response.headersSent || response.destroyed) return void response.destroy();
      const status =
        error instanceof StatusError ? error : new StatusError(500, 'InternalError', String(error));
      const after = status.retryAfterSeconds;
      if (after !== undefined) response.setHeader('retry-after', String(after));
      json(response, status.code, status);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://double');
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    this.requests.push({ token, method: request.method ?? '', path: url.pathname });
    const user = this.#userOf(token);
    this.faults.apply(response);
    const body = await text(request);
    if (url.pathname.startsWith('/apis/authorization.k8s.io/v1/self'))
      return json(response, 201, review(user, parse(request, body)));
    const target = targetOf(url.pathname);
    if (!target) throw new StatusError(404, 'NotFound', 'the server could not find the resource');
    allow(user, verbOf(request, url, target), target);
    if (target.subresource === 'log') return this.#log(target, url, response);
    if (request.method === 'GET' && target.name === undefined) {
      if (url.searchParams.get('watch') === 'true')
        return watchAnswer(this.store, this.faults, { target, url, response });
      return json(response, 200, listAnswer(this.store, this.faults, target, url));
    }
    const value = body === '' ? undefined : parse(request, body);
    const type = request.headers['content-type'] ?? '';
    const { code, answer } = this.#writes.handle(request.method ?? '', {
      ...target,
      query: url.searchParams,
      type,
      body: value,
    });
    json(response, code, answer);
  }

  #userOf(token: string): DoubleUser {
    const user = this.users.get(token);
    if (!user) throw new StatusError(401, 'Unauthorized', 'Unauthorized');
    return user;
  }

  /** From the node that has the pod, as a real one does. */
  #log({ namespace = '', name = '' }: Target, url: URL, response: ServerResponse): void {
    const pod = this.store.get('pods', namespace, name);
    if (!pod) throw notFound('pods', name);
    const spec = isObject(pod['spec']) ? pod['spec'] : {};
    const node = this.store.get('nodes', undefined, String(spec['nodeName']));
    const port = /"Port":(\d+)/.exec(JSON.stringify(node ?? {}))?.[1];
    if (port === undefined)
      throw new StatusError(400, 'BadRequest', `container of "${name}" is waiting to start`);
    const path = `/containerLogs/${namespace}/${name}/pod${url.search}`;
    const options = { host: '127.0.0.1', port: Number(port), path, rejectUnauthorized: false };
    const asked = httpsRequest(options, (answer) => {
      if (answer.statusCode !== 200) {
        json(response, 400, new StatusError(400, 'BadRequest', 'the container has no log'));
        answer.resume();
        return;
      }
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.flushHeaders();
      answer.pipe(response);
      answer.once('error', () => response.destroy());
    });
    asked.once('error', () => response.destroy());
    response.once('close', () => asked.destroy());
    asked.end();
  }
}

function json(response: ServerResponse, code: number, value: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

const contentTypes =
  /^application\/(json|apply-patch\+yaml|strategic-merge-patch\+json|merge-patch\+json)$/;

function parse({ headers, method }: IncomingMessage, body: string): unknown {
  const type = headers['content-type'] ?? '';
  if (!contentTypes.test(type) || (method === 'PATCH' && type === 'application/json'))
    throw new StatusError(
      415,
      'UnsupportedMediaType',
      'the body of the request was in an unknown format',
    );
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new StatusError(400, 'BadRequest', String(error));
  }
}

function verbOf({ method }: IncomingMessage, { searchParams }: URL, { name }: Target): string {
  if (method === 'GET' && name === undefined)
    return searchParams.get('watch') === 'true' ? 'watch' : 'list';
  if (method === 'DELETE') return name === undefined ? 'deletecollection' : 'delete';
  return { GET: 'get', POST: 'create', PUT: 'update', PATCH: 'patch' }[method ?? ''] ?? 'get';
}

function allow({ forbidden }: DoubleUser, verb: string, { resource, subresource }: Target): void {
  const right = `${verb} ${[resource.plural, subresource].filter(Boolean).join('/')}`;
  if (!forbidden.has(right)) return;
  throw new StatusError(403, 'Forbidden', `${resource.plural} is forbidden: User cannot ${verb}`);
}

function review({ forbidden }: DoubleUser, body: unknown): object {
  const spec = isObject(body) && isObject(body['spec']) ? body['spec'] : {};
  const asked = isObject(spec['resourceAttributes']) ? spec['resourceAttributes'] : {};
  const names = [asked['resource'], asked['subresource']].filter(Boolean).join('/');
  const allowed = !forbidden.has(`${String(asked['verb'])} ${names}`);
  return { ...(isObject(body) ? body : {}), status: { allowed } };
}
