import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { zSealed } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';
import { actingOf } from './access/declared.ts';
import type { App } from './app.ts';
import { Invalid, Refused } from './errors.ts';
import type { ApiPorts } from './ports.ts';
import { requestFields } from './request-id.ts';

/**
 * POSTs that can be sent again without being done again, by a key of the caller's choice
 * (draft-ietf-httpapi-idempotency-key-header-07). The answer of the first is kept for a day, sealed,
 * since it may hold what only its caller may see.
 */

const keptMs = 24 * 3_600_000;
// A request that is under way says so at least this often: of which nothing is heard any longer died
// with its process. One whose process was stopped for longer, and goes on, may have been done twice.
const silentMs = 60_000;
const beatMs = silentMs / 3;
// None takes that long: what hangs shall not keep its key for ever.
const runningMs = 600_000;

/** What programs read in an answer beside its status and body. */
const headersKept = ['cache-control', 'etag', 'location'] as const;

const zKept = z.strictObject({
  /** Of method, path and body. */
  fingerprint: z.string(),
  /** While it is under way: when it last said so. */
  startedAtMs: z.number(),
  answer: z
    .strictObject({
      status: z.int(),
      headers: z.record(z.string(), z.string()).default({}),
      body: zSealed,
    })
    .nullable(),
});
type Kept = z.infer<typeof zKept>;

const keptAnswers = (store: Store) => collection(store, 'idempotency-keys', zKept);
const sealedAs = (id: string): string => `idempotency-key/${id}`;
const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

const repeatable = 'repeatable';
interface Repeatable extends Pick<Kept, 'fingerprint' | 'startedAtMs'> {
  readonly id: string;
  /** Ends saying that it is under way. */
  readonly end: () => void;
}

/** From here on POSTs that need a token heed `Idempotency-Key`. */
export function heedIdempotencyKeys(app: App, ports: ApiPorts): void {
  app.decorateRequest(repeatable);
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    const { access } = request.routeOptions.config;
    if (request.method !== 'POST' || access === 'anybody' || key === undefined) return undefined;
    return begin(request, reply, { key: String(key), ports });
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const begun = request.getDecorator<Repeatable | undefined>(repeatable);
    if (!begun) return payload;
    begun.end();
    const headers: Record<string, string> = {};
    for (const name of headersKept) {
      const value = reply.getHeader(name);
      if (typeof value === 'string') headers[name] = value;
    }
    try {
      await keep(begun, { status: reply.statusCode, headers, text: String(payload) }, ports);
    } catch (error) {
      // It is true all the same; only who sends the request again is told that it is under way.
      const fields = { ...requestFields(request), error: String(error) };
      ports.log.warn(fields, 'an answer was not kept for its Idempotency-Key');
    }
    return payload;
  });
}

/** Answers from what is kept, or notes that the request is under way. Throws `Refused`. */
async function begin(
  request: FastifyRequest,
  reply: FastifyReply,
  { key, ports }: { readonly key: string; readonly ports: ApiPorts },
): Promise<FastifyReply | undefined> {
  if (!/^[\u0021-\u007e]{1,255}$/.test(key))
    throw new Invalid(['header, idempotency-key: must have 1 to 255 characters, ASCII, no spaces']);
  const { tenant, username } = actingOf(request);
  const { store, sealer, clock } = ports;
  const id = hashOf(JSON.stringify([tenant, username, key]));
  const fingerprint = hashOf(JSON.stringify([request.method, request.url, request.body]));
  const stored = await keptAnswers(store).get(id);
  const startedAtMs = clock.nowMs();
  const late = stored && startedAtMs - stored.value.startedAtMs >= lifeOf(stored.value);
  if (stored && !late) {
    const { answer, fingerprint: before } = stored.value;
    if (before !== fingerprint)
      throw new Refused(422, 'This Idempotency-Key came with another request, choose a new one.');
    if (!answer) throw underWay();
    const text = sealer.open(answer.body, sealedAs(id));
    void reply.headers(answer.headers).header('idempotency-replayed', 'true');
    void reply.type('application/json');
    return reply.code(answer.status).send(JSON.parse(text));
  }
  try {
    const expected = stored ? { version: stored.version } : 'absent';
    const begun = { fingerprint, startedAtMs, answer: null };
    const version = await keptAnswers(store).put(id, begun, expected);
    const end = stayKnown({ id, fingerprint, startedAtMs }, version, ports);
    request.setDecorator<Repeatable>(repeatable, { id, fingerprint, startedAtMs, end });
  } catch (error) {
    if (error instanceof WriteConflict) throw underWay();
    throw error;
  }
  return undefined;
}

/** Says now and then that the request is under way, until the returned function is called. */
function stayKnown(
  { id, fingerprint, startedAtMs }: Omit<Repeatable, 'end'>,
  begun: number,
  { store, clock }: ApiPorts,
): () => void {
  let version = begun;
  const beat = async (): Promise<void> => {
    const nowMs = clock.nowMs();
    if (nowMs - startedAtMs >= runningMs) return;
    cancel = clock.after(beatMs, () => void beat());
    const known = { fingerprint, startedAtMs: nowMs, answer: null };
    try {
      version = await keptAnswers(store).put(id, known, { version });
    } catch {
      // It was answered just now, or the store is away: the next time will tell.
    }
  };
  let cancel = clock.after(beatMs, () => void beat());
  return () => cancel();
}

/** What failed on our side or came too often may be tried again; else it is the answer from now on. */
async function keep(
  { id, fingerprint, startedAtMs }: Repeatable,
  { status, headers, text }: Omit<NonNullable<Kept['answer']>, 'body'> & { readonly text: string },
  { store, sealer }: ApiPorts,
): Promise<void> {
  if (status >= 500 || status === 429) return keptAnswers(store).remove(id, 'anything');
  const answer = { status, headers, body: sealer.seal(text, sealedAs(id)) };
  await keptAnswers(store).put(id, { fingerprint, startedAtMs, answer }, 'anything');
}

const lifeOf = ({ answer }: Kept): number => (answer ? keptMs : silentMs);

const underWay = (): Refused =>
  new Refused(409, 'A request with this Idempotency-Key is under way, wait for its answer.');

/** Forgets answers that are a day old. */
export async function sweepAnswers({
  store,
  clock,
}: Pick<ApiPorts, 'store' | 'clock'>): Promise<void> {
  const { documents } = await keptAnswers(store).list();
  for (const { id, value } of documents)
    if (clock.nowMs() - value.startedAtMs >= keptMs)
      await keptAnswers(store).remove(id, 'anything');
}
