import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ensureUser, hasUser } from '../../api/auth/users.ts';
import type { Settings } from './settings.ts';

/** A password nobody has to think of: 24 characters, about 142 bits. */
function makePassword(bytes: Buffer): string {
  return bytes.toString('base64url').slice(0, 24);
}

/**
 * The password file, readable by its owner alone. A password that was set by the operator is never
 * written down, and a file with another one would mislead.
 */
const passwordFile = {
  read: (file: string): Promise<string | undefined> =>
    readFile(file, 'utf8').then(
      (text) => text.trim(),
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      },
    ),
  write: (file: string, password: string): Promise<void> =>
    writeFile(file, `${password}\n`, { mode: 0o600, flag: 'w', flush: true }),
  remove: (file: string): Promise<void> => rm(file, { force: true }),
} as const;

const zToken = z.object({
  result: z.object({ access_token: z.object({ access_token: z.string() }) }),
});

/**
 * Creates the demo pod as any user would, through the API. A pod that is there already is fine: an
 * earlier first start was cut short.
 */
export async function createDemoPod(api: string, password: string): Promise<void> {
  const token = await post(`${api}/v3/oauth2/tokens`, {
    grant_type: 'password',
    username: 'admin',
    password,
  });
  const headers = { 'x-tapis-token': zToken.parse(token.body).result.access_token.access_token };
  const pod = {
    pod_id: 'hello',
    image: 'podgate/hello',
    description: 'The demo pod: HTTP, WebSocket, server-sent events, upload and download.',
    time_to_stop_default: -1,
  };
  const created = await post(`${api}/v3/pods`, pod, headers);
  if (created.status >= 400 && created.status !== 409) {
    throw new Error(`the demo pod was refused: ${JSON.stringify(created.body)}`);
  }
}

async function post(
  url: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

export interface AdminPassword {
  /** There was no admin before: this is the first start. */
  readonly first: boolean;
  /** The password where it is known, else ''. */
  readonly text: string;
  readonly file: string | undefined;
}

/** The admin's password: the operator's, else one made at the first start and kept in a file. */
export async function ensureAdmin(
  ports: Parameters<typeof ensureUser>[0],
  { site: { tenant }, data, api: { adminPassword } }: Settings,
): Promise<AdminPassword> {
  const file = join(data.dir, 'admin-password');
  const first = !(await hasUser(ports, tenant, 'admin'));
  const user = { tenant, username: 'admin', admin: true };
  if (adminPassword !== undefined) {
    await ensureUser(ports, { ...user, password: adminPassword });
    await passwordFile.remove(file);
    return { first, text: adminPassword, file: undefined };
  }
  const kept = await passwordFile.read(file);
  if (!first) return { first, text: '', file: kept === undefined ? undefined : file };
  const text = kept ?? makePassword(ports.random.bytes(18));
  if (kept === undefined) await passwordFile.write(file, text);
  await ensureUser(ports, { ...user, password: text });
  return { first, text, file };
}
