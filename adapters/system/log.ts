import { destination, pino, stdSerializers } from 'pino';
import type { Log } from '#contracts/log.ts';

/** Fields that hold secrets wherever they appear; naming one in a log call is a mistake all the same. */
const secretFields = [
  'password',
  'userPassword',
  'token',
  'access_token',
  'secret',
  'privateKey',
  'authorization',
  'cookie',
  'environment',
  'credentials',
];
const depths = ['', '*.', '*.*.'];

// Without these an Error is logged as {}.
const serializers = { err: stdSerializers.err, error: stdSerializers.err };

/** JSON lines to a file descriptor (1: stdout, 2: stderr), written before the call returns. */
export function createLog(options: { readonly level: string; readonly destination: number }): Log {
  const paths = depths.flatMap((depth) => secretFields.map((name) => `${depth}${name}`));
  return pino(
    { level: options.level, serializers, redact: { paths, censor: '[secret]' } },
    destination({ dest: options.destination, sync: true }),
  );
}
