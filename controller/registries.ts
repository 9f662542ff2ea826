import { z } from 'zod';
import type { RegistryAccess } from './runtime/runtime.ts';

const zConfig = z.object({
  auths: z.record(z.string(), z.object({ auth: z.string().optional() })).default({}),
});

class BadRegistryFile extends Error {
  override readonly name = 'BadRegistryFile';
}

/** Where Docker's own images are, under the name that its configuration files have for it. */
const hubNames = new Set(['index.docker.io', 'registry-1.docker.io', 'docker.io']);

/** The server that an image is fetched from: what stands before its first `/`, if that is a host. */
export function registryOf(image: string): string {
  const [first = ''] = image.split('/', 1);
  const isHost = image.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  return isHost && !hubNames.has(first) ? first : 'docker.io';
}

/**
 * Credentials by server, from a file as `docker login` and `podman login` write it. Throws
 * `BadRegistryFile`, which names the server at fault and repeats nothing of the file.
 */
export function parseRegistries(text: string): ReadonlyMap<string, RegistryAccess> {
  const { auths } = parseConfig(text);
  const found = Object.entries(auths).flatMap(([written, { auth }]): RegistryAccess[] => {
    // Without `auth` they are in a keychain of the machine, which is not ours to open.
    if (auth === undefined) return [];
    const server = serverOf(written);
    const [, username, password] = /^([^:]+):(.+)$/s.exec(decode(auth)) ?? [];
    if (username === undefined || password === undefined)
      throw new BadRegistryFile(`auth of ${server} is not "user:password" in base64`);
    return [{ server, username, password }];
  });
  return new Map(found.map((access) => [access.server, access]));
}

function parseConfig(text: string): z.infer<typeof zConfig> {
  try {
    return zConfig.parse(JSON.parse(text));
  } catch {
    throw new BadRegistryFile('is no {"auths": {"<server>": {"auth": "…"}}}');
  }
}

/** Old files have URLs there. */
function serverOf(written: string): string {
  const [host = ''] = written.replace(/^https?:\/\//, '').split('/', 1);
  return hubNames.has(host) ? 'docker.io' : host;
}

const decode = (auth: string): string => Buffer.from(auth, 'base64').toString();
