import { hostname } from 'node:os';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { limits } from '../limits.ts';
import type { FromWorker, ToWorker } from '../messages.ts';
import { AccessFile } from './access-file.ts';
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
    lines: new AccessFile(message.terms.accessLogFile, systemClock),
    process: { pid: process.pid, hostname: hostname() },
    send: tell,
    drained: (last) =>
      process.send?.({ kind: 'report', report: last } satisfies FromWorker, () => process.exit(0)),
  });
});

// The parent is gone, perhaps killed: nobody would tell us of changes, and the port must be free.
process.on('disconnect', () => process.exit(1));

// Ctrl-C reaches the whole process group; the parent decides when its workers end.
process.on('SIGINT', () => undefined);

// Service managers send it to every process of a service at once: what is under way is finished.
process.on('SIGTERM', () => {
  if (worker) leave(worker);
  else process.exit(0);
});

let faults = 0;

// A fault is one connection's; the others shall not pay for it with theirs. But nothing is certain of
// this process any more, so it goes, though not so soon that who can cause faults keeps us starting.
process.on('uncaughtException', (error) => {
  const faulty = worker;
  if (!faulty) throw error;
  faults += 1;
  if (faults > limits.faultsToldMax) return;
  tell({ kind: 'fault', error: error.stack ?? error.message });
  if (faults === 1) systemClock.after(limits.faultLeaveMs, () => leave(faulty));
});

/** The parent, unless it ends too, starts another worker on the same sockets before this one drains. */
function leave(leaving: Worker): void {
  tell({ kind: 'leaving' });
  systemClock.after(limits.replacementMs, () => leaving.handle({ kind: 'drain' }));
}

function tell(message: FromWorker): void {
  process.send?.(message);
}
