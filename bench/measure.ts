import type { Subject } from './bench.ts';
import { connect } from './clients/connection.ts';
import type { Load } from './load/load.ts';
import { cores } from './machine/processes.ts';
import { busyTicks, cpuTime, ticksPerSecond } from './machine/usage.ts';
import type { Row, Sample } from './results.ts';

const errorShareMax = 0.001;

export interface Rounds {
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly rounds: number;
  /** CPU seconds times this is the figure: a million for µs. */
  readonly scale: number;
}

/** How long a round is, unless the question has a reason for another. */
export const usual: Rounds = { warmupSeconds: 3, seconds: 3, rounds: 5, scale: 1e6 };

/**
 * CPU time per unit of each subject, in rounds that go A B C, A B C, so that what the machine does
 * meanwhile meets all of them. The time includes setting up the connections of the round.
 */
export async function cpuPerUnit(
  subjects: readonly Subject[],
  { warmupSeconds, seconds, rounds, scale }: Rounds,
  load: (subject: Subject, seconds: number) => Promise<Load>,
): Promise<Row[]> {
  for (const subject of subjects) await load(subject, warmupSeconds);
  const samples = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of subjects) {
      const sample = await one(subject, scale, async () => load(subject, seconds));
      samples.get(subject.name)?.push(sample);
    }
  }
  return Array.from(samples, ([subject, taken]) => ({ subject, samples: taken }));
}

async function one(subject: Subject, scale: number, load: () => Promise<Load>): Promise<Sample> {
  const pids = subject.pids();
  const [before, busyBefore] = [cpuTime(pids), busyTicks(cores.measured)];
  const { units, seconds, p99Ms, errors } = await load();
  const [after, busyAfter] = [cpuTime(pids), busyTicks(cores.measured)];
  if (units === 0 || errors > units * errorShareMax) {
    throw new Error(`${subject.name}: ${units} came through, ${errors} failed`);
  }
  const cpuSeconds = (after.totalNs - before.totalNs) / 1e9;
  const user = after.userTicks - before.userTicks;
  const system = after.systemTicks - before.systemTicks;
  const userShare = user / Math.max(1, user + system);
  const total = (cpuSeconds * scale) / units;
  const foreign = (busyAfter - busyBefore) / ticksPerSecond - cpuSeconds;
  return {
    total,
    user: total * userShare,
    system: total * (1 - userShare),
    perSecond: units / seconds,
    ...(p99Ms !== undefined && { p99Ms }),
    errors,
    others: Math.max(0, foreign / seconds),
  };
}

/** What a client with modern defaults gets; throws when subjects differ, for then figures do as well. */
export async function negotiated(
  subjects: readonly Subject[],
  alpn: readonly string[],
): Promise<string> {
  const words = new Set<string>();
  for (const { port } of subjects) {
    const socket = await connect(port, alpn);
    const protocol = alpn.length > 0 ? `, ALPN ${String(socket.alpnProtocol)}` : '';
    words.add(`${socket.getProtocol()} ${socket.getCipher().standardName}${protocol}`);
    socket.destroy();
  }
  if (words.size !== 1) throw new Error(`not the same terms for all: ${[...words].join('; ')}`);
  return `Negotiated with all: ${[...words].join('')}; P-256 certificate.`;
}
