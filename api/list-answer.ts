import { Readable } from 'node:stream';
import { setImmediate as otherTurns } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { success } from './envelope.ts';

const itemsPerPiece = 100;

/**
 * Answers with a list in its envelope, written piece by piece as the client takes it: a list of
 * many thousands is never whole in memory, and holds up nobody else for longer than a piece.
 * `metadata` is asked when the last item was made.
 */
export function sendList(
  reply: FastifyReply,
  items: Iterable<unknown>,
  {
    message,
    metadata,
  }: { readonly message: string; readonly metadata: () => Record<string, unknown> },
): FastifyReply {
  async function* pieces(): AsyncGenerator<string> {
    let before = '{"result":[';
    let piece: unknown[] = [];
    for (const item of items) {
      if (piece.length === itemsPerPiece) {
        yield before + elements(piece);
        await otherTurns();
        before = ',';
        piece = [];
      }
      piece.push(item);
    }
    // The first piece comes with the beginning: what fails in a short list can still be answered.
    yield before + elements(piece);
    const { result: _sent, ...rest } = success(null, message, metadata());
    yield `],${JSON.stringify(rest).slice(1)}`;
  }
  return reply.type('application/json').send(Readable.from(pieces()));
}

const elements = (items: readonly unknown[]): string => JSON.stringify(items).slice(1, -1);
