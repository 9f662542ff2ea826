import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { zCertificate } from '#contracts/certificate.ts';
import type { Route } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';

/** The last good tables, for a start while everything else is down. Private keys in it are sealed. */
const zTables = z.strictObject({
  savedAtMs: z.number(),
  routes: z.array(zRoute),
  certificates: z.record(z.string(), zCertificate),
});
export type Tables = z.infer<typeof zTables>;

/** Replaces the file in one step: a reader, or a crash, sees the old one or the new one. */
export async function saveTables(file: string, tables: Tables): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.next`;
  const handle = await open(next, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(tables));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
}

/** What was saved, or undefined when there is nothing that can be used. */
export async function loadTables(file: string): Promise<Tables | undefined> {
  try {
    const json: unknown = JSON.parse(await readFile(file, 'utf8'));
    return zTables.parse(json);
  } catch {
    return undefined;
  }
}

export const byHost = (routes: readonly Route[]): Map<string, Route> =>
  new Map(routes.map((route) => [route.host, route]));
