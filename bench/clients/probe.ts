import { systemClock } from '#adapters/system/clock.ts';
import type { Load } from '../load/load.ts';
import { ask, connect } from './connection.ts';

/**
 * Asks once a millisecond on one connection, and tells the longest wait: nobody stood still for longer.
 * Arguments: port, seconds. Prints a `Load` as JSON whose `p99Ms` is the worst.
 */

const [port = 0, seconds = 0] = process.argv.slice(2).map(Number);
const socket = await connect(port);
for (let warm = 0; warm < 500; warm += 1) await ask(socket);

const startedMs = performance.now();
let [count, worstMs] = [0, 0];
for (;;) {
  const sentMs = performance.now();
  if (sentMs - startedMs > seconds * 1_000) break;
  await ask(socket);
  worstMs = Math.max(worstMs, performance.now() - sentMs);
  count += 1;
  await systemClock.sleep(1);
}
const load: Load = { units: count, seconds, p99Ms: worstMs, errors: 0 };
console.log(JSON.stringify(load));
socket.destroy();
