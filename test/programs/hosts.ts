import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debian } from './debian.ts';
import { run, Unavailable } from './run.ts';

/**
 * For clients that resolve names by the system and by nothing else: the command line prefix that
 * runs a program in a mount namespace of its own, where these names are 127.0.0.1. The machine's
 * hosts file stays as it is.
 */
export async function withHosts(...names: readonly string[]): Promise<readonly string[]> {
  const unshare = await debian('/usr/bin/unshare', 'util-linux');
  const folder = mkdtempSync(join(tmpdir(), 'podgate-hosts-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'hosts');
  const lines = names.map((name) => `127.0.0.1 ${name}\n`).join('');
  writeFileSync(file, `${readFileSync('/etc/hosts', 'utf8')}\n${lines}`);
  const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
  const flags = process.getuid?.() === 0 ? '-m' : '-rm';
  const prefix = [unshare, flags, 'sh', '-c', script, file];
  const { code, err } = await run([...prefix, 'true']);
  if (code !== 0) throw new Unavailable(`no mount namespace can be made here: ${err.trim()}`);
  return prefix;
}
