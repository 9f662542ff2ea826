import { z } from 'zod';
import { blocks, portNumber, text } from './fields.ts';
import { group } from './group.ts';

export const api = group({
  shape: {
    PODGATE_API_HOST: text.default('127.0.0.1'),
    PODGATE_API_PORT: portNumber.default(3000),
    PODGATE_API_TRUSTED_PROXIES: blocks.default(['127.0.0.0/8', '::1']),
    PODGATE_ADMIN_PASSWORD: z.string().min(8, 'must have at least 8 characters').optional(),
    PODGATE_COMPAT_STATUS: z.enum(['http', 'tapis'], 'must be http or tapis').default('http'),
    PODGATE_API_REQUESTS_PER_MINUTE: z.coerce
      .number('must be a number')
      .int('must be a whole number')
      .min(0, 'must not be negative')
      .default(6000),
    PODGATE_NEO4J_JARS: text.optional(),
    PATH: z.string().default(''),
  },
  secrets: ['PODGATE_ADMIN_PASSWORD'],
  ports: ['PODGATE_API_PORT'],
  choose: (values) => ({
    host: values.PODGATE_API_HOST,
    port: values.PODGATE_API_PORT,
    /** Addresses and CIDR blocks of the gateways. */
    trustedProxies: values.PODGATE_API_TRUSTED_PROXIES,
    adminPassword: values.PODGATE_ADMIN_PASSWORD,
    /** `tapis`: refusals have the codes of the original service. */
    statusCodes: values.PODGATE_COMPAT_STATUS,
    requestsPerMinute: values.PODGATE_API_REQUESTS_PER_MINUTE,
    neo4jJars: values.PODGATE_NEO4J_JARS,
    /** Where programs of the machine are looked for. */
    path: values.PATH,
  }),
});
