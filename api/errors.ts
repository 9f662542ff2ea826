import { LogsUnavailable } from '#contracts/logs.ts';
import { SealBroken } from '#contracts/sealer.ts';
import {
  BrokenDocument,
  StoreUnavailable,
  WriteConflict,
  WriteOutcomeUnknown,
} from '#contracts/store.ts';
import { TrafficUnavailable } from '#contracts/traffic.ts';

/** What a caller did that cannot be done; the message is for the caller. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** From 400 to 599. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Input that fails validation; each text names the field and the fix. */
export class Invalid extends Error {
  override readonly name = 'Invalid';
  readonly texts: readonly string[];

  constructor(texts: readonly string[]) {
    super(texts.join('; '));
    this.texts = texts;
  }
}

export interface ErrorReply {
  readonly status: number;
  readonly message: string | readonly string[];
  /** After how many seconds it may go better, for `Retry-After`. */
  readonly retrySeconds?: number;
}

// As long as a store needs to come back, or another to take its place.
const storeSeconds = 5;

/** Fastify's own refusals of a body, in words that name the fix. */
const bodyErrors: Readonly<Record<string, ErrorReply>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: { status: 400, message: ['body: is not valid JSON'] },
  FST_ERR_CTP_EMPTY_JSON_BODY: { status: 400, message: ['body: is empty, expected a JSON object'] },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 400,
    message: ['body: send it with Content-Type: application/json'],
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    message: ['body: is not as long as declared'],
  },
};

/**
 * The one place where a failure becomes an answer; undefined is a bug of ours. `bytesMax` is what the
 * route lets a body have.
 */
export function errorReply(error: unknown, bytesMax: number): ErrorReply | undefined {
  if (error instanceof Invalid) return { status: 400, message: error.texts };
  if (error instanceof Refused) return { status: error.status, message: error.message };
  if (error instanceof LogsUnavailable) {
    return { status: 503, message: 'Logs cannot be read at the moment: no controller answers.' };
  }
  if (error instanceof TrafficUnavailable) {
    return { status: 503, message: 'Traffic cannot be read at the moment: no gateway answers.' };
  }
  const stored = storeReply(error);
  if (stored) return stored;
  const code: unknown = Reflect.get(Object(error), 'code');
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return { status: 413, message: [`body: is larger than ${bytesMax / 1024} KiB`] };
  const reply = typeof code === 'string' ? bodyErrors[code] : undefined;
  if (reply) return reply;
  // A body that is cut off or refused by the parser for another reason is still the caller's.
  const status: unknown = Reflect.get(Object(error), 'statusCode');
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return { status, message: error instanceof Error ? error.message : 'Bad request.' };
  }
  return undefined;
}

/** What the store itself could not do. */
function storeReply(error: unknown): ErrorReply | undefined {
  if (error instanceof StoreUnavailable) {
    const message = 'The store cannot be reached at the moment, try again.';
    return { status: 503, message, retrySeconds: storeSeconds };
  }
  if (error instanceof WriteOutcomeUnknown) {
    const message =
      'The store was lost on the way: whether this was done is not known, look before you send it again.';
    return { status: 503, message, retrySeconds: storeSeconds };
  }
  if (error instanceof WriteConflict) {
    return { status: 409, message: 'Others keep changing it at the same time: try again.' };
  }
  if (error instanceof BrokenDocument || error instanceof SealBroken) {
    return { status: 500, message: 'The stored record is damaged; an operator must look at it.' };
  }
  return undefined;
}
