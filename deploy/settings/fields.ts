import { z } from 'zod';

/** Schemas that several groups use. */

/** Text that is there; '' would be a mistake. */
export const text = z.string().min(1, 'is empty');

export const portNumber = z.coerce
  .number('must be a port number')
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .max(65_535, 'must be at most 65535');

export const onOff = z.enum(['off', 'on'], 'must be off or on');

/** Where everything of one program is kept. */
export const dataDir = text.default('.podgate');

export const httpsPort = portNumber.default(8443);
