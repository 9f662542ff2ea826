import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { createProcessRuntime } from '../../controller/runtime/process/runtime.ts';
import { podsPlace } from './plan.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const podsDeadlineMs = 6_000;

/** Ends the pods of a cluster whose controllers are gone: they leave them running. */
export async function stopPods(folder: string): Promise<void> {
  const user = process.getuid?.() === 0 ? 'nobody' : undefined;
  const ports = { clock: systemClock, random: systemRandom, log: silent };
  const pods = await createProcessRuntime({ dataDir: podsPlace(folder), user, ...ports });
  await pods.stopAll(podsDeadlineMs);
}
