import { debian } from './debian.ts';
import { run, Unavailable } from './run.ts';

/** Hides /mnt behind a private folder, puts a hosts file with one more line there and uses that. */
const script = `set -e
mount -t tmpfs tmpfs /mnt
{ cat /etc/hosts; printf '\\n127.0.0.1 %s\\n' "$0"; } > /mnt/hosts
mount --bind /mnt/hosts /etc/hosts
exec "$@"`;

/**
 * For clients that resolve names by the system and by nothing else: the command line prefix that
 * runs a program in a mount namespace of its own, where these names are 127.0.0.1. The machine's
 * hosts file stays as it is, and nothing is left behind.
 */
export async function withHosts(...names: readonly string[]): Promise<readonly string[]> {
  const unshare = await debian('/usr/bin/unshare', 'util-linux');
  const flags = process.getuid?.() === 0 ? '-m' : '-rm';
  const prefix = [unshare, flags, 'sh', '-c', script, names.join(' ')];
  const { code, err } = await run([...prefix, 'true']);
  if (code !== 0) throw new Unavailable(`no mount namespace can be made here: ${err.trim()}`);
  return prefix;
}
