import { z } from 'zod';
import { isBlock } from '../../gateway/allowed.ts';

/** Schemas that several groups use. */

/** Text that is there; '' would be a mistake. */
export const text = z.string().min(1, 'is empty');

export const portNumber = z.coerce
  .number('must be a port number')
  .int('must be a whole number')
  .min(1, 'must be at least 1')
  .max(65_535, 'must be at most 65535');

/** Addresses and CIDR blocks. */
export const blocks = z
  .string()
  .transform((list) => list.split(/[\s,]+/).filter((block) => block !== ''))
  .refine(
    (list) => list.every(isBlock),
    'must be addresses or CIDR blocks with commas between, such as 10.0.0.0/8,2001:db8::1',
  );

export const onOff = z.enum(['off', 'on'], 'must be off or on');

/** Where everything of one program is kept. */
export const dataDir = text.default('.podgate');

export const httpsPort = portNumber.default(8443);
