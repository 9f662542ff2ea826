import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Sealed, Sealer } from '#contracts/sealer.ts';
import { SealBroken, zSealed } from '#contracts/sealer.ts';

/** The key file cannot be used; the message names the file and the fix, never a key. */
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
  if (!active)
    throw badKeyFile(file, 'holds no key: restore it, what it sealed is lost without it');
  return {
    seal: (text, context) => seal(active, text, context),
    open: (sealed, context) => open(keys, sealed, context),
  };
}

function seal([id, key]: readonly [string, Buffer], text: string, context: string): Sealed {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return zSealed.parse(
    ['v1', id, nonce.toString('base64url'), body.toString('base64url')].join('.'),
  );
}

function open(keys: ReadonlyMap<string, Buffer>, sealed: Sealed, context: string): string {
  const [version, id = '', nonceText = '', bodyText = ''] = sealed.split('.');
  const key = keys.get(id);
  if (!key) throw new SealBroken(`sealed with key ${id}, which the key file does not hold`);
  const nonce = fromBase64url(nonceText);
  const body = fromBase64url(bodyText);
  if (version !== 'v1' || nonce?.length !== nonceBytes || !body || body.length < tagBytes)
    throw new SealBroken(`not a sealed value where ${context} should be`);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(body.subarray(-tagBytes));
  const text = decipher.update(body.subarray(0, -tagBytes));
  try {
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new SealBroken(`does not open as ${context}`, { cause });
  }
}

/** Undefined unless it is the one spelling of its bytes: Buffer skips what it does not know. */
function fromBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

function readKeys(file: string): Map<string, Buffer> {
  try {
    makeKeyFile(file);
    const fd = openSync(file, 'r');
    try {
      if ((fstatSync(fd).mode & 0o077) !== 0)
        throw badKeyFile(file, 'is open to others: chmod 600 it');
      return parseKeys(file, readFileSync(fd, 'utf8'));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof BadKeyFile || !(error instanceof Error)) throw error;
    throw badKeyFile(file, `cannot be used: ${error.message}`, error);
  }
}

/** Complete or not at all: a half written key would make the next start fail. */
function makeKeyFile(file: string): void {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const line = `${randomBytes(4).toString('hex')} ${randomBytes(keyBytes).toString('base64url')}\n`;
  try {
    closeSync(openSync(file, 'r'));
    return;
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  try {
    writeFileSync(draft, line, { mode: 0o600, flag: 'wx', flush: true });
    linkSync(draft, file);
    syncFolder(dirname(file));
  } catch (error) {
    // Another process was faster; its key is the one.
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** A power cut after the first sealed write must not take the name of the key file with it. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function parseKeys(file: string, text: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const line of text.split(/\r?\n/).filter(Boolean)) {
    const [id = '', keyText = '', ...more] = line.split(' ');
    const key = fromBase64url(keyText);
    if (!/^[\w-]+$/.test(id) || key?.length !== keyBytes || more.length > 0)
      throw badKeyFile(file, 'is damaged: each line is a key id and 32 bytes in base64url');
    if (keys.has(id)) throw badKeyFile(file, `has two keys with the id ${id}`);
    keys.set(id, key);
  }
  return keys;
}

const badKeyFile = (file: string, problem: string, cause?: Error): BadKeyFile =>
  new BadKeyFile(`PODGATE_SECRET_KEY_FILE ${file} ${problem}`, { cause });

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
