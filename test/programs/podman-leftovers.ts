import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessName } from '../../controller/runtime/process/proc.ts';
import { isAlive, nameProcess, sendSignal } from '../../controller/runtime/process/proc.ts';
import { run } from './run.ts';

/** What a killed test run leaves of its Podman: processes, links, and rules that swallow ports. */

/** Of the folder of a test's Podman. */
export const folderPrefix = 'podgate-podman-';
const chain = 'NETAVARK-HOSTPORT-DNAT';

/** Notes in the folder of a Podman that it is this process's. */
export const own = (folder: string): void =>
  writeFileSync(join(folder, 'owner.json'), JSON.stringify(nameProcess(process.pid)));

/** Folders whose owner is dead. One that names no owner is left alone. */
export const orphanedFolders = (prefix = folderPrefix): string[] =>
  readdirSync(tmpdir())
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(tmpdir(), name))
    .filter((folder) => {
      const owner = ownerOf(folder);
      return owner !== undefined && !isAlive(owner);
    });

function ownerOf(folder: string): ProcessName | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'owner.json'), 'utf8')) as ProcessName;
  } catch {
    return undefined;
  }
}

/** Ends every process whose command line names the folder: service, monitors, helpers. */
export function endProcessesOf(folder: string): void {
  for (const { pid, words } of processes()) if (words.includes(folder)) sendSignal(pid, 'SIGKILL');
}

/** Deletes rules of ports of which nothing is left, not even the folder. */
export async function deleteStaleRules(): Promise<void> {
  const listed = await run(['iptables', '-t', 'nat', '-S', chain]).catch(() => undefined);
  // No such program, no such chain, or not our machine to look at.
  if (!listed?.out) return;
  const commandLines = processes().map(({ words }) => words);
  for (const rule of staleRules(listed.out, commandLines))
    await run(['iptables', '-t', 'nat', '-D', ...rule]);
}

/**
 * Of what `iptables -S` lists, those that send a port of this machine to a container on a network of
 * Podgate's or of a test's, of which no command line (its monitor's has its id) knows: as the words
 * after `-A`.
 */
export function staleRules(listed: string, commandLines: readonly string[]): string[][] {
  const pattern = /^-A (\S+ .*)--comment "(dnat name: (?:podgate-\S+|try) id: (\w+))" (.*)$/gm;
  return [...listed.matchAll(pattern)]
    .filter(([, , , id = '']) => !commandLines.some((line) => line.includes(id)))
    .map(([, before = '', comment = '', , after = '']) => [
      ...before.trim().split(' '),
      '--comment',
      comment,
      ...after.split(' '),
    ]);
}

function processes(): { readonly pid: number; readonly words: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      return /^\d+$/.test(name)
        ? [{ pid: Number(name), words: readFileSync(`/proc/${name}/cmdline`, 'utf8') }]
        : [];
    } catch {
      return [];
    }
  });
}
