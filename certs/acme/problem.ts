import { z } from 'zod';

const acmeError = 'urn:ietf:params:acme:error:';

const zProblem = z.object({
  type: z.string().default('about:blank'),
  detail: z.string().default(''),
  subproblems: z
    .array(z.object({ type: z.string().default(''), detail: z.string().default('') }))
    .default([]),
});

/** An answer over HTTP, as the client library hands it on. */
export interface CaAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly data: unknown;
}

/** What a certificate authority refused, or that it could not be reached (RFC 8555, 6.7). */
export class CaProblem extends Error {
  override readonly name = 'CaProblem';
  /** Without the prefix of ACME; '' when it has none. */
  readonly type: string;
  /** 0: there was no answer. */
  readonly status: number;
  /** How long it asked us to stay away. */
  readonly retryAfterMs: number | undefined;

  constructor(
    words: string,
    about: { type?: string; status?: number; retryAfterMs?: number | undefined } = {},
  ) {
    super(words);
    this.type = about.type ?? '';
    this.status = about.status ?? 0;
    this.retryAfterMs = about.retryAfterMs;
  }

  /** It is the authority's trouble, not that of what was asked: the order stands, and goes on later. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500 || this.type === 'badNonce';
  }

  /** We asked for too much. */
  get limited(): boolean {
    return this.status === 429 || this.type === 'rateLimited';
  }

  /** The limit is that of one set of names, and not of everything we ask for. */
  get ofOneName(): boolean {
    return /exact set|failed (authoriz|validat)|paused/i.test(this.message);
  }

  /** The account is gone at the authority, so that no order of it will ever be taken. */
  get accountGone(): boolean {
    if (this.type === 'accountDoesNotExist') return true;
    return (
      (this.status === 401 || this.status === 403) && /deactivated|revoked/i.test(this.message)
    );
  }
}

/** The problem in an answer with a status of 400 or more. */
export function problemOf(answer: CaAnswer, nowMs: number): CaProblem {
  const parsed = zProblem.safeParse(answer.data);
  const { type, detail, subproblems } = parsed.success ? parsed.data : zProblem.parse({});
  const kind = type.startsWith(acmeError) ? type.slice(acmeError.length) : '';
  const parts = [detail, ...subproblems.map((each) => each.detail)].filter((text) => text !== '');
  const words = parts.length > 0 ? parts.join('; ') : `it answered ${answer.status}`;
  return new CaProblem(kind ? `${words} (${kind})` : words, {
    type: kind,
    status: answer.status,
    retryAfterMs: retryAfterMs(answer, nowMs),
  });
}

/**
 * `Retry-After` (RFC 9110, 10.2.3): seconds, or a date, which is taken by the clock of who sent it,
 * so that a clock that is wrong, here or there, does no harm.
 */
export function retryAfterMs(answer: CaAnswer, nowMs: number): number | undefined {
  const value = header(answer, 'retry-after');
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const atMs = Date.parse(value);
  if (Number.isNaN(atMs)) return undefined;
  const theirs = Date.parse(header(answer, 'date'));
  return Math.max(0, atMs - (Number.isNaN(theirs) ? nowMs : theirs));
}

function header({ headers }: CaAnswer, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

/** A host could not be shown to be ours: here, before or after the authority looked. */
export class ProofProblem extends Error {
  override readonly name = 'ProofProblem';
  /** The authority has judged: its order is over. Else nothing was spent, and the order stands. */
  readonly judged: boolean;

  constructor(words: string, judged: boolean) {
    super(words);
    this.judged = judged;
  }
}

/** The authority takes its time with an order that stands: to be gone on with later. */
export class OrderWaits extends Error {
  override readonly name = 'OrderWaits';
  readonly untilMs: number;

  constructor(untilMs: number) {
    super('the authority takes its time with the order');
    this.untilMs = untilMs;
  }
}
