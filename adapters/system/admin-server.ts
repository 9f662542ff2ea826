import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { isIP } from 'node:net';
import type { Registry } from 'prom-client';
import { Gauge } from 'prom-client';
import type { AdminAnswer, AdminEndpoint, Part } from '#contracts/admin.ts';

export interface AdminSettings {
  readonly host: string;
  readonly port: number;
  /** Who knows it may ask for what is confidential when `host` is not loopback. */
  readonly token: string | undefined;
}

export interface AdminPages {
  readonly registry: Registry;
  /** Looked at anew for each question: parts may join while it serves. */
  readonly parts: readonly Part[];
  readonly endpoints: readonly AdminEndpoint[];
}

export interface AdminServer {
  readonly port: number;
  stop(): Promise<void>;
}

// Prometheus, probes and a few people: nobody of them sends much or needs long.
const bounds = { maxHeaderSize: 8 * 1024, headersTimeout: 5_000, requestTimeout: 5_000 } as const;
const keepAliveMs = 70_000; // a scrape a minute finds its connection again
const connectionsMax = 64;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly fields?: Readonly<Record<string, string>>;
}

/**
 * Serves the operator's port: `/healthz` (the process lives and its event loop turns), `/readyz`
 * (every part that is needed does its work, else 503; each that does not says why), `/metrics` in Prometheus' text format, and the
 * endpoints given. Rejects with the listen error (`code`, `port`).
 */
export async function startAdminServer(
  settings: AdminSettings,
  pages: AdminPages,
): Promise<AdminServer> {
  observeParts(pages);
  let loopback = false;
  const server = createServer(bounds, (request, response) => {
    // Bodies of a GET mean nothing; what is sent is dropped.
    request.resume();
    void serve(request, response, pages, { token: settings.token, loopback });
  });
  server.keepAliveTimeout = keepAliveMs;
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(settings.port, settings.host, resolve);
  });
  const { address, port } = boundTo(server);
  loopback = /^(127\.|::1$|::ffff:127\.)/.test(address);
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function boundTo(server: Server): { readonly address: string; readonly port: number } {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the admin port has no address');
  return bound;
}

function observeParts({ registry, parts }: AdminPages): void {
  const gauge: Gauge = new Gauge({
    name: 'podgate_part_ready',
    help: 'Whether a part of this process does its work (1) or not (0); /readyz says why not.',
    labelNames: ['part'],
    registers: [registry],
    collect: () => {
      for (const part of parts)
        gauge.set({ part: part.name }, part.problem() === undefined ? 1 : 0);
    },
  });
}

interface Access {
  readonly token: string | undefined;
  readonly loopback: boolean;
}

/** Whatever goes wrong is told to who asked; nothing here may end the process. */
async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  pages: AdminPages,
  access: Access,
): Promise<void> {
  const { status, type, body, fields } = await answer(request, pages, access).catch(
    (error: unknown) => json({ status: 500, body: { message: String(error) } }),
  );
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...fields,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answer(
  request: IncomingMessage,
  pages: AdminPages,
  access: Access,
): Promise<Answer> {
  const { pathname = '', searchParams = new URLSearchParams() } =
    URL.parse(request.url ?? '', 'http://admin') ?? {};
  const page = pageAt(pathname, pages);
  if (!page) {
    const paths = ['/healthz', '/readyz', '/metrics', ...pages.endpoints.map(({ path }) => path)];
    return json({ status: 404, body: { message: `There is no ${pathname} here.`, paths } });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const refused = json({ status: 405, body: { message: 'Use GET: nothing is changed here.' } });
    return { ...refused, fields: { allow: 'GET, HEAD' } };
  }
  return (page.confidential ? refusal(request, access) : undefined) ?? page.show(searchParams);
}

interface Shown {
  readonly confidential: boolean;
  show(query: URLSearchParams): Answer | Promise<Answer>;
}

function pageAt(path: string, { registry, parts, endpoints }: AdminPages): Shown | undefined {
  const open = (show: Shown['show']): Shown => ({ confidential: false, show });
  switch (path) {
    case '/healthz':
      return open(() => json({ status: 200, body: { status: 'ok' } }));
    case '/readyz':
      return open(() => json(readiness(parts)));
    case '/metrics':
      return open(async () => ({
        status: 200,
        type: registry.contentType,
        body: await registry.metrics(),
      }));
  }
  const endpoint = endpoints.find((candidate) => candidate.path === path);
  return (
    endpoint && {
      confidential: endpoint.confidential,
      show: (query) => json(endpoint.answer(query)),
    }
  );
}

function readiness(parts: readonly Part[]): AdminAnswer {
  const shown = parts.map((part) => {
    const reason = part.problem();
    return reason === undefined
      ? { name: part.name, ready: true }
      : { name: part.name, ready: false, reason };
  });
  const all = shown.every((part) => part.ready);
  const ready = parts.every((part, at) => part.dispensable || shown[at]?.ready);
  const status = all ? 'ready' : ready ? 'ready, but not all is there' : 'not ready';
  return { status: ready ? 200 : 503, body: { status, parts: shown } };
}

/** Why this request may not see what is confidential, or undefined. */
function refusal({ headers }: IncomingMessage, { token, loopback }: Access): Answer | undefined {
  if (loopback) {
    // A page in the operator's browser can reach loopback by a name that resolves to it.
    if (isLocalAuthority(headers.host ?? '')) return undefined;
    const message = 'Ask by an address or by localhost: other names in Host are refused here.';
    return json({ status: 403, body: { message } });
  }
  if (token === undefined) {
    const message =
      'This is not shown beyond loopback without a token: set PODGATE_ADMIN_TOKEN, or ask from this machine with PODGATE_ADMIN_HOST=127.0.0.1.';
    return json({ status: 403, body: { message } });
  }
  if (sameText(headers.authorization ?? '', `Bearer ${token}`)) return undefined;
  const message = 'Send the header Authorization: Bearer with the token in PODGATE_ADMIN_TOKEN.';
  return { ...json({ status: 401, body: { message } }), fields: { 'www-authenticate': 'Bearer' } };
}

function isLocalAuthority(authority: string): boolean {
  const host = authority.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || isIP(host) !== 0;
}

/** Compares digests: how long it takes tells neither the content nor the length of `expected`. */
const sameText = (given: string, expected: string): boolean =>
  timingSafeEqual(digest(given), digest(expected));

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const json = ({ status, body }: AdminAnswer): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body, undefined, 2)}\n`,
});
