import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import { RuntimeUnavailable } from '../runtime.ts';
import { RateLimit } from './rate-limit.ts';

/** The name under which our fields stand in `managedFields`. */
export const fieldManager = 'podgate';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Of the body; `application/json` unless it is given. */
  readonly contentType?: string;
  /** Waits behind others when there are too many; most do not. */
  readonly patient?: boolean;
}

/** What the API server refused: its Status, as the API conventions have it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;
  /** How long it asks to be left alone; null: it does not say. */
  readonly retryAfterMs: number | null;

  constructor(code: number, reason: string, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

const zStatus = z.object({ reason: z.string().optional(), message: z.string().optional() });

/** An answer that does not begin by then does not come. */
const answerMs = 15_000;
const attemptsMax = 5;
const backoffMs = { first: 200, max: 5_000 } as const;
/** What an overloaded API server may ask of us for one request. */
const retryAfterMsMax = 10_000;
// Starting a pod takes five requests: so many pods a second as one API server bears easily.
const requests = { perSecond: 100, atOnce: 200 } as const;

/** Speaks with one API server, no faster than it bears; credentials are those of the configuration. */
export class KubernetesApi {
  readonly #config: KubeConfig;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limit: RateLimit;
  #agent: { readonly trust: string; readonly agent: Agent } | undefined;

  constructor(config: KubeConfig, { clock, random }: { clock: Clock; random: Random }) {
    this.#config = config;
    this.#clock = clock;
    this.#random = random;
    this.#limit = new RateLimit(clock, requests);
  }

  /**
   * The JSON of the answer. What may pass (429, 5xx, no connection) is tried again; every request we
   * make may be made twice. Throws `ApiError`, and `RuntimeUnavailable` when nobody answers.
   */
  async call(request: ApiRequest): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await this.open(request, AbortSignal.timeout(answerMs));
        return JSON.parse(await text(answer));
      } catch (error) {
        if (attempt === attemptsMax || !mayPass(error)) throw unavailable(error);
        await this.#clock.sleep(this.#delayMs(error, attempt));
      }
    }
  }

  /** The answer as it comes, tried once. Throws `ApiError`, or whatever kept it from coming. */
  async open(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    await this.#limit.take(signal, request.patient ? 'patient' : 'pressing');
    const answer = await this.#send(request, signal);
    const { statusCode = 0 } = answer;
    if (statusCode >= 200 && statusCode < 300) return answer;
    throw errorOf(statusCode, answer.headers['retry-after'], await text(answer));
  }

  /** How long to wait before the next attempt: as long as the server says, else longer each time. */
  #delayMs(error: unknown, attempt: number): number {
    const asked = error instanceof ApiError ? error.retryAfterMs : null;
    const own = Math.min(backoffMs.max, backoffMs.first * 2 ** (attempt - 1));
    const jitter = 0.5 + this.#random.fraction();
    return Math.max(Math.min(asked ?? 0, retryAfterMsMax), own * jitter);
  }

  async #send(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const cluster = this.#config.getCurrentCluster();
    if (!cluster) throw new RuntimeUnavailable('the kubeconfig has no current cluster');
    const url = new URL(cluster.server.replace(/\/$/, '') + request.path);
    for (const [name, value] of Object.entries(request.query ?? {}))
      url.searchParams.set(name, value);
    const { agent, headers } = await this.#credentials(url, cluster.proxyUrl !== undefined);
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const contentType = request.contentType ?? 'application/json';
    const options = {
      method: request.method,
      agent,
      signal,
      headers: {
        ...headers,
        accept: 'application/json',
        'user-agent': 'podgate',
        ...(body === undefined
          ? {}
          : { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }),
      },
    };
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
      send(url, options, resolve).once('error', reject).end(body);
    });
  }

  /** Tokens change while we run: the configuration is asked each time, connections are kept. */
  async #credentials(
    url: URL,
    proxied: boolean,
  ): Promise<{ agent: RequestOptions['agent']; headers: Record<string, string> }> {
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const headers = Object.fromEntries(
      Object.entries(options.headers ?? {}).map(([name, value]) => [name, String(value)]),
    );
    if (options.auth) headers['authorization'] = `Basic ${btoa(options.auth)}`;
    if (proxied) return { agent: options.agent, headers };
    if (url.protocol === 'http:') return { agent: undefined, headers };
    const { ca, cert, key, rejectUnauthorized, servername } = options;
    const trust = JSON.stringify([ca, cert, key, rejectUnauthorized, servername].map(String));
    if (this.#agent?.trust !== trust) {
      const terms = { ca, cert, key, rejectUnauthorized, servername };
      const given = Object.entries(terms).filter(([, value]) => value !== undefined);
      this.#agent = { trust, agent: new Agent({ keepAlive: true, ...Object.fromEntries(given) }) };
    }
    return { agent: this.#agent.agent, headers };
  }
}

function errorOf(code: number, retryAfter: string | undefined, body: string): ApiError {
  const parsed = zStatus.safeParse(jsonOr(body));
  const { reason = '', message = body.slice(0, 300) } = parsed.data ?? {};
  const seconds = Number(retryAfter);
  return new ApiError(code, reason, message, retryAfter && seconds >= 0 ? seconds * 1_000 : null);
}

function jsonOr(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** Whether the same request may succeed later. */
export const mayPass = (error: unknown): boolean =>
  error instanceof ApiError ? error.code === 429 || error.code >= 500 : true;

function unavailable(error: unknown): Error {
  if (error instanceof ApiError && error.code !== 429 && error.code < 500 && error.code !== 401)
    return error;
  const why = error instanceof Error ? error.message : String(error);
  return new RuntimeUnavailable(`the Kubernetes API server does not serve us: ${why}`);
}

/** The Status code of an error, or undefined for one that is not the API server's. */
export const codeOf = (error: unknown): number | undefined =>
  error instanceof ApiError ? error.code : undefined;
