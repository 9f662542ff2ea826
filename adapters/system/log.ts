import { destination, pino } from 'pino';
import type { Log } from '#contracts/log.ts';

/** Fields that hold secrets wherever they appear; naming one in a log call is a mistake all the same. */
const secretFields = ['password', 'token', 'key', 'authorization', 'environment', 'credentials'];

/** JSON lines to a file descriptor (1: stdout, 2: stderr). */
export function createLog(options: { readonly level: string; readonly destination: 1 | 2 }): Log {
  return pino(
    {
      level: options.level,
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    destination({ dest: options.destination, sync: true }),
  );
}
