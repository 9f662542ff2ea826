import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { limits } from '../limits.ts';
import type { FromWorker, ToWorker } from '../messages.ts';
import { Worker } from './worker.ts';

/** A gateway worker: started by the parent with the two bound sockets as descriptors 4 and 5. */

let worker: Worker | undefined;

process.on('message', (message: ToWorker) => {
  if (message.kind !== 'begin') {
    worker?.handle(message);
    return;
  }
  worker = new Worker(message.terms, {
    clock: systemClock,
    random: systemRandom,
    descriptors: { https: 4, http: 5 },
    send: (answer) => process.send?.(answer),
    drained: () => process.exit(0),
  });
  if (message.wildcard) worker.handle({ kind: 'wildcard', identity: message.wildcard });
});

// The parent is gone, perhaps killed: nobody would tell us of changes, and the port must be free.
process.on('disconnect', () => process.exit(1));

// Ctrl-C reaches the whole process group; the parent decides when its workers end.
process.on('SIGINT', () => undefined);

// Service managers send it to every process of a service at once: what is under way is finished. The
// parent, unless it ends too, starts another worker on the same sockets before this one lets go.
process.on('SIGTERM', () => {
  const leaving = worker;
  if (!leaving) process.exit(0);
  process.send?.({ kind: 'leaving' } satisfies FromWorker);
  systemClock.after(limits.replacementMs, () => leaving.handle({ kind: 'drain' }));
});
