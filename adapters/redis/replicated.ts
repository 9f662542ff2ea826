import { WriteOutcomeUnknown } from '#contracts/store.ts';
import type { Connection } from './connection.ts';
import { newestKey } from './keys.ts';

// Replicas answer within a round trip; one that takes this long is away.
const replicasMs = 2_000;

/** Waits until `count` replicas have what was written on this connection. Throws `WriteOutcomeUnknown`. */
export async function replicated(connection: Connection, count: number): Promise<void> {
  if (count === 0) return;
  const reply = await connection.once(async (client) => {
    // WAIT names no key: of a cluster's nodes, the command before it finds the one that wrote.
    const asked = [
      ['exists', newestKey],
      ['wait', count, replicasMs],
    ];
    return (await client.pipeline(asked).exec())?.[1];
  });
  const [error, have] = reply ?? [null, 0];
  if (!error && Number(have) >= count) return;
  const reason = error ? error.message : `${Number(have)} of ${count} replicas have it`;
  throw new WriteOutcomeUnknown(`the write is in Redis, but ${reason}`);
}
