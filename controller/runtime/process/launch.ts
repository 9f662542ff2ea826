import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Clock } from '#contracts/clock.ts';
import type { LaunchOrder } from './files.ts';
import { writeRecord } from './files.ts';
import { nameProcess } from './proc.ts';

const shimProgram = join(import.meta.dirname, 'shim/main.ts');
// Generous, because a machine may be busy; a shim that takes longer hangs.
const launchMs = 30_000;

/**
 * Starts a shim and gives it its order. Resolves when the shim has launched the program, has failed
 * to, or has died; the record in `folder` says which. Throws when there could be no shim at all.
 */
export async function launch(
  folder: string,
  order: LaunchOrder,
  clock: Clock,
): Promise<ChildProcess> {
  // Nothing of our own environment reaches the shim, so nothing of it can leak to the pod.
  const shim = spawn(process.execPath, [shimProgram, folder], {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const failed = new Promise<never>((_resolve, reject) => {
    shim.once('error', reject);
  });
  if (shim.pid === undefined) return failed;
  const record = { ...order.record, shim: nameProcess(shim.pid) ?? null };
  // On disk before the shim can launch anything: if we die now, the next controller finds it.
  writeRecord(folder, record);
  await Promise.race([failed, instruct(shim, { ...order, record }, clock)]);
  shim.unref();
  return shim;
}

async function instruct(shim: ChildProcess, order: LaunchOrder, clock: Clock): Promise<void> {
  const { stdin, stdout } = shim;
  if (!stdin || !stdout) throw new Error('a shim without pipes');
  // Writing to a shim that is dead already: `close` of its stdout tells.
  stdin.once('error', () => undefined);
  const answered = new Promise<void>((resolve) => {
    stdout.once('data', () => resolve());
    stdout.once('close', () => resolve());
  });
  const cancel = clock.after(launchMs, () => shim.kill('SIGKILL'));
  stdin.end(JSON.stringify(order));
  await answered;
  cancel();
  stdout.destroy();
}
