import { z } from 'zod';
import type { CancelExchange, CancelOwner, FindOwners } from '#contracts/cancels.ts';
import type { Clock } from '#contracts/clock.ts';
import { AskAll } from './ask-all.ts';
import type { Line } from './line.ts';

/** Twice what a gateway waits for a worker that hangs. */
const waitMs = 500;

const zQuestion = z.object({ key: z.string(), from: z.string() });
const zOwners = z.array(
  z.object({
    upstream: z.object({ host: z.string(), port: z.int().min(1).max(65_535) }),
    near: z.boolean(),
  }),
);

/** Asks all other gateways on one NATS for the owner of a cancel key. */
export class NatsCancelExchange implements CancelExchange {
  readonly #all: AskAll;

  constructor(line: Line, clock: Clock) {
    this.#all = new AskAll({ line, clock, subject: 'podgate.cancels' });
  }

  async ask(key: string, from: string): Promise<readonly CancelOwner[]> {
    const { values } = await this.#all.ask({ key, from }, { waitMs, othersOnly: true });
    return values.flatMap((value) => zOwners.safeParse(value).data ?? []);
  }

  serve(find: FindOwners): () => void {
    return this.#all.serve(async (question) => {
      const { key, from } = zQuestion.parse(question);
      return find(key, from);
    });
  }
}
