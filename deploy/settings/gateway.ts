import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { limits } from '../../gateway/limits.ts';
import { accessLogLevels } from '../../gateway/observe/access-log.ts';
import { blocks, httpsPort, onOff, portNumber, text } from './fields.ts';
import { BadSetting, group } from './group.ts';

const shape = {
  PODGATE_HTTPS_PORT: httpsPort,
  PODGATE_HTTP_PORT: portNumber.default(8080),
  PODGATE_GATEWAY_WORKERS: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(256, 'must be at most 256')
    .default(availableParallelism()),
  PODGATE_TRUSTED_PROXIES: blocks.default([]),
  PODGATE_PROXY_PROTOCOL: onOff.default('off'),
  PODGATE_FORWARDED_HEADER: onOff.default('off'),
  PODGATE_HSTS_SECONDS: z.coerce
    .number('must be a number of seconds')
    .int('must be a whole number of seconds')
    .min(0, 'must not be negative')
    .max(63_072_000, 'must be at most 63072000 (two years)')
    .default(0),
  PODGATE_TLS_CONTEXTS: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(100, 'must be at least 100')
    .max(1_000_000, 'must be at most 1000000 (45 GB)')
    .default(limits.contextsMax),
  PODGATE_ACCESS_LOG: z.enum(accessLogLevels, 'must be all, errors or off').default('errors'),
  PODGATE_ACCESS_LOG_FILE: text.optional(),
};

export const gateway = group({
  shape,
  ports: ['PODGATE_HTTPS_PORT', 'PODGATE_HTTP_PORT'],
  choose: (values) => {
    refuseProxiesOfNobody(values);
    return {
      httpsPort: values.PODGATE_HTTPS_PORT,
      httpPort: values.PODGATE_HTTP_PORT,
      workers: values.PODGATE_GATEWAY_WORKERS,
      /** Addresses and CIDR blocks. */
      trustedProxies: values.PODGATE_TRUSTED_PROXIES,
      proxyProtocol: values.PODGATE_PROXY_PROTOCOL === 'on',
      forwardedHeader: values.PODGATE_FORWARDED_HEADER === 'on',
      hstsSeconds: values.PODGATE_HSTS_SECONDS,
      /** Of each worker. */
      contextsMax: values.PODGATE_TLS_CONTEXTS,
      accessLog: values.PODGATE_ACCESS_LOG,
      /** Nothing: stderr. */
      accessLogFile: values.PODGATE_ACCESS_LOG_FILE ? resolve(values.PODGATE_ACCESS_LOG_FILE) : '',
    };
  },
});

/** Without trusted sources no connection could carry the header, and all would be as with `off`. */
function refuseProxiesOfNobody(values: z.infer<z.ZodObject<typeof shape>>): void {
  if (values.PODGATE_PROXY_PROTOCOL === 'off' || values.PODGATE_TRUSTED_PROXIES.length > 0) return;
  throw new BadSetting(
    'PODGATE_PROXY_PROTOCOL is "on": name the sources in PODGATE_TRUSTED_PROXIES',
  );
}
