import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import type { Sealed, Sealer } from '#contracts/sealer.ts';
import { SealBroken, zSealed } from '#contracts/sealer.ts';

/** The key file cannot be used; the message names the file and the fix. */
export class BadKeyFile extends Error {
  override readonly name = 'BadKeyFile';
}

const keyBytes = 32; // AES-256
const nonceBytes = 12; // NIST SP 800-38D, 8.2: the length GCM is made for
const tagBytes = 16;

/**
 * Seals with the first key of `file` and opens with any of them, so that a key is rotated by putting
 * a new line on top. A line is `<key id> <32 bytes in base64url>`. The file is made when it is not
 * there; one that others can read is refused.
 */
export function openSealer(file: string): Sealer {
  const keys = readKeys(file);
  const [active] = keys;
  if (!active) throw new BadKeyFile(`PODGATE_SECRET_KEY_FILE ${file} holds no key`);
  const [activeId, activeKey] = active;
  return {
    seal: (text, context) => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', activeKey, nonce);
      cipher.setAAD(Buffer.from(context));
      const sealed = Buffer.concat([
        cipher.update(text, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      const parts = ['v1', activeId, nonce.toString('base64url'), sealed.toString('base64url')];
      return zSealed.parse(parts.join('.'));
    },
    open: (sealed, context) => open(keys, sealed, context),
  };
}

function open(keys: ReadonlyMap<string, Buffer>, sealed: Sealed, context: string): string {
  const [, id = '', nonce = '', body = ''] = sealed.split('.');
  const key = keys.get(id);
  if (!key) throw new SealBroken(`sealed with key ${id}, which the key file does not hold`);
  const bytes = Buffer.from(body, 'base64url');
  try {
    const options = { authTagLength: tagBytes };
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), options);
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    const text = decipher.update(bytes.subarray(0, -tagBytes));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new SealBroken(`does not open as ${context}`, { cause });
  }
}

function readKeys(file: string): Map<string, Buffer> {
  try {
    makeKeyFile(file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new BadKeyFile(`PODGATE_SECRET_KEY_FILE ${file} is readable by others: chmod 600 it`);
  }
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return new Map(lines.map((line) => parseKey(file, line)));
}

function makeKeyFile(file: string): void {
  const line = `${randomBytes(4).toString('hex')} ${randomBytes(keyBytes).toString('base64url')}\n`;
  writeFileSync(file, line, { mode: 0o600, flag: 'wx', flush: true });
}

function parseKey(file: string, line: string): [string, Buffer] {
  const [id = '', text = ''] = line.split(' ');
  const key = Buffer.from(text, 'base64url');
  // The line itself is a secret and not repeated.
  if (!/^[\w-]+$/.test(id) || key.length !== keyBytes) {
    throw new BadKeyFile(
      `PODGATE_SECRET_KEY_FILE ${file} is damaged: each line is a key id and 32 bytes in base64url`,
    );
  }
  return [id, key];
}
