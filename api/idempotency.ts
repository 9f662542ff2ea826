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

/**
 * POSTs that can be sent again without being done again, by a key of the caller's choice
 * (draft-ietf-httpapi-idempotency-key-header-07). The answer of the first is kept for a day, sealed,
 * since it may hold what only its caller may see.
 */

const keptMs = 24 * 3_600_000;
// A request that began this long ago and has no answer died with its process.
const runningMs = 60_000;

const zKept = z.strictObject({
  /** Of method, path and body. */
  fingerprint: z.string(),
  startedAtMs: z.number(),
  answer: z.strictObject({ status: z.int(), body: zSealed }).nullable(),
});
type Kept = z.infer<typeof zKept>;

const keptAnswers = (store: Store) => collection(store, 'idempotency-keys', zKept);
const sealedAs = (id: string): string => `idempotency-key/${id}`;
const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

const repeatable = 'repeatable';
type Repeatable = Pick<Kept, 'fingerprint' | 'startedAtMs'> & { readonly id: string };

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
    if (begun) await keep(begun, { status: reply.statusCode, text: String(payload) }, ports);
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
    void reply.header('idempotency-replayed', 'true').type('application/json');
    return reply.code(answer.status).send(JSON.parse(text));
  }
  try {
    const expected = stored ? { version: stored.version } : 'absent';
    await keptAnswers(store).put(id, { fingerprint, startedAtMs, answer: null }, expected);
  } catch (error) {
    if (error instanceof WriteConflict) throw underWay();
    throw error;
  }
  request.setDecorator<Repeatable>(repeatable, { id, fingerprint, startedAtMs });
  return undefined;
}

/** What failed on our side or came too often may be tried again; else it is the answer from now on. */
async function keep(
  { id, ...begun }: Repeatable,
  { status, text }: { readonly status: number; readonly text: string },
  { store, sealer }: ApiPorts,
): Promise<void> {
  if (status >= 500 || status === 429) return keptAnswers(store).remove(id, 'anything');
  const answer = { status, body: sealer.seal(text, sealedAs(id)) };
  await keptAnswers(store).put(id, { ...begun, answer }, 'anything');
}

const lifeOf = ({ answer }: Kept): number => (answer ? keptMs : runningMs);

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
