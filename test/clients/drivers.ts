import { join } from 'node:path';
import { expect } from 'vitest';
import type { Standalone } from '../integration/standalone.ts';
import { python } from '../programs/python.ts';
import { run } from '../programs/run.ts';

/** The interpreter that has all Python drivers. */
export const pythonDrivers = (): Promise<string> =>
  python('python-drivers', join(import.meta.dirname, 'requirements.txt'));

/** What a driver's program finds in its environment: where to connect and as whom. */
export interface Target {
  readonly host: string;
  readonly user: string;
  readonly password: string;
}

/**
 * Runs a program that connects by a driver and prints what it saw as one line of JSON. It trusts
 * the authority of this Podgate (`CA`, and the variables by which OpenSSL and Node are told of it).
 */
export async function driver(
  argv: readonly string[],
  podgate: Standalone,
  target: Target,
): Promise<unknown> {
  const { code, out, err } = await run(argv, {
    env: {
      HOST: target.host,
      PORT: String(podgate.ports.https),
      USERNAME: target.user,
      PASSWORD: target.password,
      CA: podgate.caFile,
      SSL_CERT_FILE: podgate.caFile,
      NODE_EXTRA_CA_CERTS: podgate.caFile,
    },
  });
  expect(code, err).toBe(0);
  return JSON.parse(out);
}
