import { z } from 'zod';
import { portNumber, text } from './fields.ts';
import { group } from './group.ts';

/** The admin port: each program has a default of its own, so that they fit on one machine. */
export const admin = (portDefault: number) =>
  group({
    shape: {
      PODGATE_ADMIN_HOST: text.default('127.0.0.1'),
      PODGATE_ADMIN_PORT: portNumber.default(portDefault),
      PODGATE_ADMIN_TOKEN: z
        .string()
        .regex(/^[\x21-\x7e]{16,}$/, 'must have at least 16 characters, ASCII without spaces')
        .optional(),
    },
    secrets: ['PODGATE_ADMIN_TOKEN'],
    ports: ['PODGATE_ADMIN_PORT'],
    choose: (values) => ({
      host: values.PODGATE_ADMIN_HOST,
      port: values.PODGATE_ADMIN_PORT,
      token: values.PODGATE_ADMIN_TOKEN,
    }),
  });
