import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Standalone, until } from './standalone.ts';

let podgate: Standalone;
beforeAll(async () => {
  podgate = await Standalone.start();
});
afterAll(() => podgate.stopAndForget());

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

function filesHolding(secret: string | Buffer): string[] {
  return filesBelow(podgate.dataDir).filter((file) => readFileSync(file).includes(secret));
}

test('no credential, environment value, token or private key lies in the data directory', async () => {
  const marker = 'correct-horse-battery-staple';
  await podgate.pod({
    pod_id: 'keeper',
    image: 'podgate/hello',
    environment_variables: { API_KEY: marker, COPY: '<<TAPIS_user_password>>' },
  });
  const credentials = await podgate.call('GET', '/v3/pods/keeper/credentials');
  const userPassword = String(credentials.envelope.result['user_password']);
  expect(userPassword).toMatch(/^[A-Za-z0-9]{30}$/);
  await until(() => filesBelow(podgate.dataDir).some((file) => file.includes('/gateway/')));

  expect(filesHolding(marker)).toEqual([]);
  expect(filesHolding(userPassword)).toEqual([]);
  expect(filesHolding(await podgate.token())).toEqual([]);
  expect(filesHolding('PRIVATE KEY')).toEqual([]);
  // The check reads what it should: the password file is found by its content.
  expect(filesHolding(podgate.password)).toEqual([join(podgate.dataDir, 'admin-password')]);
});

test('what is secret is readable by its owner alone', () => {
  for (const name of ['admin-password', 'secret.key', 'podgate.db']) {
    expect([name, statSync(join(podgate.dataDir, name)).mode & 0o077]).toEqual([name, 0]);
  }
});

test('nothing secret is printed', () => {
  expect(podgate.output).not.toContain(podgate.password);
});
