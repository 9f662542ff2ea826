import { z } from 'zod';
import { group } from './group.ts';

export const log = group({
  shape: {
    PODGATE_LOG_LEVEL: z
      .enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error')
      .default('warn'),
  },
  choose: (values) => ({ level: values.PODGATE_LOG_LEVEL }),
});
