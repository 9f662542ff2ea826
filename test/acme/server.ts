/* oxlint-disable eslint/complexity -- one branch for each resource of RFC 8555, 7.1 */
import 'reflect-metadata';
import { createHash, createHmac, createPublicKey, randomBytes, verify } from 'node:crypto';
import type { webcrypto } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { Clock } from '#contracts/clock.ts';
import { makeRoot } from '../../certs/authority/sign.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

type JsonWebKey = webcrypto.JsonWebKey;

/** An order as the authority sees it. */
export interface MockOrder {
  readonly id: number;
  readonly hosts: readonly string[];
  readonly profile: string | undefined;
  readonly replaces: string | undefined;
  readonly atMs: number;
  status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
  readonly proven: Set<number>;
  error?: string;
  chain?: string;
}

export interface Refusal {
  readonly status: number;
  readonly type?: string;
  readonly detail?: string;
  readonly retryAfter?: string;
}

/** What a request is for. */
export type Call =
  | 'directory'
  | 'account'
  | 'order'
  | 'look'
  | 'prove'
  | 'finalize'
  | 'download'
  | 'info';

/**
 * An authority by RFC 8555 and RFC 9773 on plain HTTP and on the clock of a test, which does on demand
 * what real ones do on bad days. Like the big public one it gives an order that is not fulfilled yet
 * again to who asks for the same hosts.
 */
export class MockAuthority {
  readonly orders: MockOrder[] = [];
  readonly accounts = new Map<string, { jwk: JsonWebKey; deactivated: boolean }>();
  readonly calls: Call[] = [];
  readonly profiles: Record<string, string> = { tlsserver: '', shortlived: '' };
  readonly replaced = new Set<string>();
  lifeMs = 90 * 24 * 3_600_000;
  /** Asked before each call: something to answer instead, `cut` to end the connection. */
  refuse: (call: Call) => Refusal | 'cut' | 'cut after' | undefined = () => undefined;
  /** The window of a certificate; undefined: none is told. */
  window: ((id: string) => { start: Date; end: Date }) | undefined;
  /** Whether what proves the host is in its place. */
  check: (host: string, token: string, thumbprint: string) => Promise<boolean> = async () => true;
  /** Told of each order that is made, before it is answered. */
  onOrder: (order: MockOrder) => void = () => undefined;
  /** Requests that came and are not answered yet. */
  underWay = 0;
  /** What becomes of an order that is finalized. */
  onFinalize: 'valid' | 'stuck' | 'invalid' = 'valid';
  /** Whose key its certificates are of. */
  signs: 'what was asked for' | 'another key' = 'what was asked for';
  /** How the authority's own clock goes wrong. */
  skewMs = 0;
  binding: { kid: string; hmacKey: string } | undefined;
  readonly #clock: Clock;
  readonly #server = createServer((request, response) => {
    this.underWay += 1;
    void this.#serve(request, response).finally(() => (this.underWay -= 1));
  });
  readonly #nonces = new Set<string>();
  #root: { certificate: string; key: string } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** On any port, or on the one that it had before. */
  async start(port = 0): Promise<string> {
    const random = { bytes: randomBytes, fraction: () => 0.5 };
    this.#root ??= await makeRoot('example.org', this.#clock.nowMs(), random);
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return `${this.base}/directory`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Orders that could still become certificates. */
  live(): readonly MockOrder[] {
    return this.orders.filter(({ status }) => !['valid', 'invalid'].includes(status));
  }

  #now(): number {
    return this.#clock.nowMs() + this.skewMs;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const [, kind = '', id = '', more = ''] = (request.url ?? '').split('/');
    const call = callOf(kind, id, more);
    const refusal = call && this.refuse(call);
    if (call) this.calls.push(call);
    response.setHeader('replay-nonce', this.#nonce());
    response.setHeader('date', new Date(this.#now()).toUTCString());
    if (refusal === 'cut') return void request.socket.destroy();
    if (typeof refusal === 'object') return problem(response, refusal);
    const answer = await this.#answer(kind, id, more, body).catch((error: unknown) =>
      error instanceof Refused ? error : new Refused({ status: 500, detail: String(error) }),
    );
    if (refusal === 'cut after') return void request.socket.destroy();
    if (answer instanceof Refused) return problem(response, answer.refusal);
    const { status = 200, location, data } = answer;
    if (location) response.setHeader('location', location);
    response.statusCode = status;
    response.setHeader(
      'content-type',
      typeof data === 'string' ? 'application/pem-certificate-chain' : 'application/json',
    );
    response.end(typeof data === 'string' ? data : JSON.stringify(data ?? {}));
  }

  #nonce(): string {
    const nonce = randomBytes(12).toString('base64url');
    this.#nonces.add(nonce);
    return nonce;
  }

  async #answer(kind: string, id: string, more: string, body: string): Promise<Answer> {
    if (kind === 'directory') return { data: this.#directory() };
    if (kind === 'nonce') return {};
    if (kind === 'info') return this.#info(id);
    const { payload, account } = this.#signed(body);
    if (kind === 'new-account') return this.#account(body, payload);
    if (kind === 'account') return { data: { status: 'valid' } };
    if (this.accounts.get(account)?.deactivated)
      throw new Refused({
        status: 403,
        type: 'unauthorized',
        detail: 'Account is not valid, has status "deactivated"',
      });
    if (kind === 'new-order') return this.#newOrder(payload);
    const order = this.orders[Number(id)];
    if (!order) throw new Refused({ status: 404, type: 'malformed', detail: 'no such order' });
    if (kind === 'order' && more === '') return { data: this.#shown(order) };
    if (kind === 'order' && more === 'finalize') return this.#finalize(order, payload);
    if (kind === 'authz') return { data: this.#authorization(order, Number(more)) };
    if (kind === 'challenge') return this.#prove(order, Number(more), account);
    if (kind === 'certificate') return { data: order.chain ?? '' };
    throw new Refused({ status: 404, detail: 'no such page' });
  }

  #directory(): object {
    const { base } = this;
    return {
      newNonce: `${base}/nonce`,
      newAccount: `${base}/new-account`,
      newOrder: `${base}/new-order`,
      ...(this.window && { renewalInfo: `${base}/info` }),
      meta: { profiles: this.profiles },
    };
  }

  #signed(body: string): { payload: Record<string, unknown>; account: string } {
    const jws = JSON.parse(body);
    const head = JSON.parse(Buffer.from(jws.protected, 'base64url').toString());
    if (!this.#nonces.delete(head.nonce))
      throw new Refused({ status: 400, type: 'badNonce', detail: 'nonce' });
    const jwk: JsonWebKey | undefined = head.jwk ?? this.accounts.get(head.kid)?.jwk;
    if (!jwk)
      throw new Refused({ status: 400, type: 'accountDoesNotExist', detail: 'no such account' });
    const key = {
      key: createPublicKey({ key: jwk, format: 'jwk' }),
      dsaEncoding: 'ieee-p1363' as const,
    };
    const right = verify(
      'sha256',
      Buffer.from(`${jws.protected}.${jws.payload}`),
      key,
      Buffer.from(jws.signature, 'base64url'),
    );
    if (!right) throw new Refused({ status: 400, type: 'malformed', detail: 'signature' });
    const payload =
      jws.payload === '' ? {} : JSON.parse(Buffer.from(jws.payload, 'base64url').toString());
    return { payload, account: String(head.kid ?? '') };
  }

  #account(body: string, payload: Record<string, unknown>): Answer {
    const head = JSON.parse(Buffer.from(JSON.parse(body).protected, 'base64url').toString());
    this.#checkBinding(payload['externalAccountBinding']);
    const location = `${this.base}/account/${thumbprint(head.jwk)}`;
    const known = this.accounts.has(location);
    if (!known) this.accounts.set(location, { jwk: head.jwk, deactivated: false });
    return { status: known ? 200 : 201, location, data: { status: 'valid' } };
  }

  #checkBinding(given: unknown): void {
    if (!this.binding) return;
    const jws = (given ?? {}) as { protected?: string; payload?: string; signature?: string };
    const key = Buffer.from(this.binding.hmacKey, 'base64url');
    const right = createHmac('sha256', key)
      .update(`${jws.protected}.${jws.payload}`)
      .digest('base64url');
    if (jws.signature !== right)
      throw new Refused({ status: 403, type: 'externalAccountRequired', detail: 'binding' });
  }

  #newOrder(payload: Record<string, unknown>): Answer {
    const hosts = (payload['identifiers'] as { value: string }[]).map(({ value }) => value);
    const replaces =
      payload['replaces'] === undefined ? undefined : (payload['replaces'] as string);
    if (replaces !== undefined && this.replaced.has(replaces))
      throw new Refused({
        status: 409,
        type: 'alreadyReplaced',
        detail: 'replaced by another order',
      });
    const same = this.live().find((order) => order.hosts.join() === hosts.join());
    const profile = payload['profile'] === undefined ? undefined : (payload['profile'] as string);
    const order: MockOrder = same ?? {
      id: this.orders.length,
      hosts,
      profile,
      replaces,
      atMs: this.#clock.nowMs(),
      status: 'pending',
      proven: new Set(),
    };
    if (!same) {
      this.onOrder(order);
      this.orders.push(order);
    }
    return { status: 201, location: `${this.base}/order/${order.id}`, data: this.#shown(order) };
  }

  #shown(order: MockOrder): object {
    const { base } = this;
    return {
      status: order.status,
      identifiers: order.hosts.map((value) => ({ type: 'dns', value })),
      authorizations: order.hosts.map((_, index) => `${base}/authz/${order.id}/${index}`),
      finalize: `${base}/order/${order.id}/finalize`,
      ...(order.chain !== undefined && { certificate: `${base}/certificate/${order.id}` }),
      ...(order.error !== undefined && { error: { detail: order.error } }),
    };
  }

  #authorization(order: MockOrder, index: number): object {
    const host = order.hosts[index] ?? '';
    const wildcard = host.startsWith('*.');
    const status =
      order.status === 'invalid' ? 'invalid' : order.proven.has(index) ? 'valid' : 'pending';
    const types = wildcard ? ['dns-01'] : ['http-01', 'tls-alpn-01', 'dns-01'];
    return {
      status,
      wildcard,
      identifier: { type: 'dns', value: host.replace('*.', '') },
      challenges: types.map((type) => ({
        type,
        url: `${this.base}/challenge/${order.id}/${index}`,
        token: `token-${order.id}-${index}`,
        status,
        ...(status === 'invalid' && { error: { detail: order.error ?? '' } }),
      })),
    };
  }

  async #prove(order: MockOrder, index: number, account: string): Promise<Answer> {
    const host = order.hosts[index] ?? '';
    const jwk = this.accounts.get(account)?.jwk;
    const right = jwk && (await this.check(host, `token-${order.id}-${index}`, thumbprint(jwk)));
    if (!right) {
      order.status = 'invalid';
      order.error = `${host} answered wrongly`;
    } else {
      order.proven.add(index);
      if (order.proven.size === order.hosts.length) order.status = 'ready';
    }
    return { data: { type: 'http-01', status: 'processing', url: '', token: '' } };
  }

  async #finalize(order: MockOrder, payload: Record<string, unknown>): Promise<Answer> {
    if (order.status !== 'ready')
      throw new Refused({ status: 403, type: 'orderNotReady', detail: order.status });
    order.status = this.onFinalize === 'stuck' ? 'processing' : this.onFinalize;
    if (this.onFinalize === 'invalid') order.error = 'it would not be signed';
    if (this.onFinalize === 'valid') {
      order.chain = await this.#sign(String(payload['csr']));
      if (order.replaces !== undefined) this.replaced.add(order.replaces);
    }
    return { data: this.#shown(order) };
  }

  async #sign(csr: string): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr, 'base64url'));
    const root = this.#root ?? { certificate: '', key: '' };
    const issuer = new x509.X509Certificate(root.certificate);
    const names = request.extensions.find(({ type }) => type === '2.5.29.17');
    const der = x509.PemConverter.decodeFirst(root.key);
    const notBefore = new Date(Math.floor(this.#now() / 1000) * 1000 - 3_600_000);
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: randomBytes(16).toString('hex'),
      issuer: issuer.subject,
      notBefore,
      notAfter: new Date(notBefore.getTime() + this.lifeMs),
      publicKey: this.signs === 'another key' ? issuer.publicKey : request.publicKey,
      signingKey: await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']),
      signingAlgorithm: algorithm,
      extensions: [
        ...(names ? [names] : []),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ],
    });
    return `${leaf.toString('pem')}\n${root.certificate}\n`;
  }

  #info(id: string): Answer {
    const window = this.window?.(id);
    if (!window) throw new Refused({ status: 404, detail: 'unknown certificate' });
    return {
      data: {
        suggestedWindow: { start: window.start.toISOString(), end: window.end.toISOString() },
      },
    };
  }
}

interface Answer {
  readonly status?: number;
  readonly location?: string;
  readonly data?: unknown;
}

class Refused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.detail ?? '');
    this.refusal = refusal;
  }
}

function callOf(kind: string, id: string, more: string): Call | undefined {
  if (kind === 'order') return more === 'finalize' ? 'finalize' : 'look';
  const calls: Record<string, Call> = {
    directory: 'directory',
    'new-account': 'account',
    'new-order': 'order',
    authz: 'look',
    challenge: 'prove',
    certificate: 'download',
    info: 'info',
  };
  return id === undefined ? undefined : calls[kind];
}

function problem(response: ServerResponse, { status, type, detail, retryAfter }: Refusal): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/problem+json');
  if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
  response.end(
    JSON.stringify({ type: `urn:ietf:params:acme:error:${type ?? 'serverInternal'}`, detail }),
  );
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

/** RFC 7638. */
function thumbprint({ crv, kty, x, y }: JsonWebKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}
