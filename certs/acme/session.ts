import { Agent } from 'node:https';
import * as acme from 'acme-client';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { CaAnswer } from './problem.ts';
import { CaProblem, problemOf, retryAfterMs } from './problem.ts';

const timeoutMs = 30_000; // one request; authorities sign within a few seconds
const nonceRetries = 20; // with one in two refused, one try in a million fails
const noncesMax = 64; // kept from answers: as many as requests may be under way

// Its own retries send the same nonce again and sleep where nobody can stop them: we schedule.
Object.assign(acme.axios.defaults, { acmeSettings: { retryMaxAttempts: 0 } });

const zDirectory = z.object({
  renewalInfo: z.string().optional(),
  meta: z
    .object({
      profiles: z.record(z.string(), z.unknown()).default({}),
      caaIdentities: z.array(z.string()).default([]),
    })
    .default({ profiles: {}, caaIdentities: [] }),
});
export type Directory = z.infer<typeof zDirectory>;

const zOrder = z.object({
  status: z.enum(['pending', 'ready', 'processing', 'valid', 'invalid']),
  authorizations: z.array(z.string()),
  finalize: z.string(),
  certificate: z.string().optional(),
  error: z.object({ detail: z.string().default('') }).optional(),
});
/** RFC 8555, 7.1.3, and when the authority wants to be asked again. */
export type RemoteOrder = z.infer<typeof zOrder> & {
  readonly url: string;
  readonly retryAfterMs: number | undefined;
};

const zChallenge = z.object({
  type: z.string(),
  url: z.string(),
  status: z.string(),
  token: z.string().default(''),
  error: z.object({ detail: z.string().default('') }).optional(),
});
export type RemoteChallenge = z.infer<typeof zChallenge>;

const zAuthorization = z.object({
  status: z.enum(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: z.object({ value: z.string() }),
  wildcard: z.boolean().default(false),
  challenges: z.array(zChallenge),
});
export type Authorization = z.infer<typeof zAuthorization>;

interface Internals {
  maxBadNonceRetries: number;
  request(url: string, method: string, options?: object): Promise<CaAnswer>;
  getNonce(): Promise<string>;
  getDirectory(): Promise<unknown>;
}

export interface SessionTerms {
  readonly directoryUrl: string;
  /** PEM; undefined: the machine's authorities. */
  readonly roots: string | undefined;
  readonly accountKey: string;
  readonly accountUrl: string | undefined;
  readonly binding: { readonly kid: string; readonly hmacKey: string } | undefined;
  readonly clock: Clock;
}

/**
 * Speaks RFC 8555 for one account with one authority. Every method throws `CaProblem`, none retries
 * but on a refused nonce; each request ends within 30 s.
 */
export class AcmeSession extends acme.Client {
  declare protected readonly http: Internals;
  declare protected readonly api: {
    apiRequest(url: string, payload: object | null, valid: number[]): Promise<CaAnswer>;
    apiResourceRequest(name: string, payload: object, valid: number[]): Promise<CaAnswer>;
  };
  readonly #nonces: string[] = [];
  readonly #clock: Clock;

  constructor({ directoryUrl, roots, accountKey, accountUrl, binding, clock }: SessionTerms) {
    super({
      directoryUrl,
      accountKey,
      ...(accountUrl !== undefined && { accountUrl }),
      ...(binding && { externalAccountBinding: binding }),
    });
    this.#clock = clock;
    const agent = new Agent({ keepAlive: true, ...(roots !== undefined && { ca: roots }) });
    const { http } = this;
    const send = http.request.bind(http);
    const askForNonce = http.getNonce.bind(http);
    http.maxBadNonceRetries = nonceRetries;
    http.request = async (url, method, options = {}) => {
      const terms = { ...options, timeout: timeoutMs, httpsAgent: agent, maxRedirects: 0 };
      return this.#checked(await send(url, method, terms).catch(unreachable));
    };
    // Each answer brings one: asking for each would be a third of all requests.
    http.getNonce = async () => this.#nonces.pop() ?? askForNonce();
  }

  async directory(): Promise<Directory> {
    return read(zDirectory, await this.http.getDirectory());
  }

  /** Makes the account, or finds that of the key; its URL. */
  async register(contact: readonly string[]): Promise<string> {
    await this.createAccount({ termsOfServiceAgreed: true, contact: [...contact] });
    return this.getAccountUrl();
  }

  async order(
    hosts: readonly string[],
    extras: { readonly profile?: string; readonly replaces?: string },
  ): Promise<RemoteOrder> {
    const identifiers = hosts.map((value) => ({ type: 'dns', value }));
    const answer = await this.api.apiResourceRequest(
      'newOrder',
      { identifiers, ...extras },
      [201, 200],
    );
    const url = answer.headers['location'];
    if (typeof url !== 'string') throw new CaProblem('it made an order without an address');
    return this.#order(url, answer);
  }

  async lookAtOrder(url: string): Promise<RemoteOrder> {
    return this.#order(url, await this.api.apiRequest(url, null, [200]));
  }

  /** `csr`: DER, base64url. */
  async finalize({ url, finalize }: RemoteOrder, csr: string): Promise<RemoteOrder> {
    return this.#order(url, await this.api.apiRequest(finalize, { csr }, [200]));
  }

  async authorization(url: string): Promise<Authorization & { retryAfterMs: number | undefined }> {
    const answer = await this.api.apiRequest(url, null, [200]);
    const waitMs = retryAfterMs(answer, this.#clock.nowMs());
    return { ...read(zAuthorization, answer.data), retryAfterMs: waitMs };
  }

  /** Tells the authority to look (RFC 8555, 7.5.1). */
  async answer({ url }: RemoteChallenge): Promise<void> {
    await this.api.apiRequest(url, {}, [200]);
  }

  /** What proves it: for `dns-01` the value of the record, else the key authorization. */
  proof({ type, url, status, token }: RemoteChallenge): Promise<string> {
    // The library hashes for `dns-01` and has one type for all others.
    const kind = type === 'dns-01' ? 'dns-01' : 'http-01';
    const state = status === 'valid' ? 'valid' : 'pending';
    return this.getChallengeKeyAuthorization({ type: kind, url, status: state, token });
  }

  /** The chain, PEM, leaf first. */
  async download(url: string): Promise<string> {
    return read(z.string(), (await this.api.apiRequest(url, null, [200])).data);
  }

  /** Renewal information of a certificate (RFC 9773, 4.2), unsigned. */
  async renewalInfo(base: string, id: string): Promise<CaAnswer> {
    return this.http.request(`${base.replace(/\/$/, '')}/${id}`, 'get');
  }

  #order(url: string, answer: CaAnswer): RemoteOrder {
    const waitMs = retryAfterMs(answer, this.#clock.nowMs());
    return { ...read(zOrder, answer.data), url, retryAfterMs: waitMs };
  }

  #checked(answer: CaAnswer): CaAnswer {
    const nonce = answer.headers['replay-nonce'];
    if (answer.status < 400) {
      if (typeof nonce === 'string' && this.#nonces.length < noncesMax) this.#nonces.push(nonce);
      return answer;
    }
    const problem = problemOf(answer, this.#clock.nowMs());
    // The library answers this one itself, with the nonce of this very answer.
    if (problem.type === 'badNonce') return answer;
    throw problem;
  }
}

function unreachable(error: unknown): never {
  const reason = error instanceof Error ? error.message : String(error);
  throw new CaProblem(`it cannot be reached: ${reason}`);
}

/** Throws `CaProblem`: an authority that answers nonsense is one in trouble. */
function read<T>(schema: z.ZodType<T>, data: unknown): T {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new CaProblem('it answered what RFC 8555 does not know');
}
