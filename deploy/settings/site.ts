import { z } from 'zod';
import { httpsPort, portNumber } from './fields.ts';
import { group } from './group.ts';

const domainPattern =
  /^(?=.{1,200}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** What all programs must agree on. */
export const site = group({
  shape: {
    PODGATE_DOMAIN: z
      .string()
      .regex(domainPattern, 'must be a host name in lower case, such as example.org')
      .default('localhost'),
    PODGATE_TENANT: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -, starting with a letter')
      .default('default'),
    PODGATE_HTTPS_PORT: httpsPort,
    PODGATE_PUBLIC_HTTPS_PORT: portNumber.optional(),
  },
  choose: (values) => ({
    domain: values.PODGATE_DOMAIN,
    /** The first tenant, which has the domain itself. */
    tenant: values.PODGATE_TENANT,
    /** Where clients reach the gateway. */
    publicHttpsPort: values.PODGATE_PUBLIC_HTTPS_PORT ?? values.PODGATE_HTTPS_PORT,
  }),
});
