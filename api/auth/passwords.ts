import { scrypt, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

/** A password as it is stored: scrypt (RFC 7914) with its parameters, so that they can be raised. */
export const zPasswordHash = z.strictObject({
  cost: z.int(),
  blockSize: z.int(),
  parallelization: z.int(),
  salt: z.string(),
  hash: z.string(),
});
export type PasswordHash = z.infer<typeof zPasswordHash>;

// OWASP's recommendation for scrypt; about 64 MB and 100 ms.
const parameters = { cost: 2 ** 16, blockSize: 8, parallelization: 1 } as const;
const hashBytes = 32;

export async function hashPassword(password: string, salt: Buffer): Promise<PasswordHash> {
  const hash = await derive(password, salt, parameters);
  return { ...parameters, salt: salt.toString('base64url'), hash: hash.toString('base64url') };
}

/** True when `password` is the one that was hashed; takes as long when it is not. */
export async function passwordMatches(password: string, stored: PasswordHash): Promise<boolean> {
  const hash = await derive(password, Buffer.from(stored.salt, 'base64url'), stored);
  return timingSafeEqual(hash, Buffer.from(stored.hash, 'base64url'));
}

function derive(
  password: string,
  salt: Buffer,
  {
    cost,
    blockSize,
    parallelization,
  }: Pick<PasswordHash, 'cost' | 'blockSize' | 'parallelization'>,
): Promise<Buffer> {
  const options = { cost, blockSize, parallelization, maxmem: 256 * cost * blockSize };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, hashBytes, options, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}
