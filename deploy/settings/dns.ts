import { z } from 'zod';
import type { Rfc2136Settings } from '../../certs/dns/rfc2136/provider.ts';
import { text } from './fields.ts';
import { BadSetting } from './group.ts';

const dnsPort = 53;
const addressPattern =
  /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<name>[^:[\]\s,]+))(?::(?<port>\d{1,5}))?$/;

const server = z.string().transform((address, context) => {
  const { six, name, port } = addressPattern.exec(address)?.groups ?? {};
  const host = six ?? name;
  const number = port === undefined ? dnsPort : Number(port);
  if (host !== undefined && number >= 1 && number <= 65_535) return { host, port: number };
  context.addIssue('must be a server such as ns1.example.org, 192.0.2.1:53 or [2001:db8::1]:53');
  return z.NEVER;
});

const domain = z
  .string()
  .regex(
    /^(?!\.)[a-z0-9._-]+[a-z0-9]$/,
    'must be a name in small letters, without a dot at its end',
  );

/** The group of certificates has these among its own. */
export const dnsShape = {
  PODGATE_DNS_PROVIDER: z.enum(['rfc2136'], 'must be rfc2136').optional(),
  PODGATE_DNS_RFC2136_SERVER: server.optional(),
  PODGATE_DNS_RFC2136_AUTHORITATIVE: z
    .string()
    .transform((list) => list.split(/[\s,]+/).filter((each) => each !== ''))
    .pipe(z.array(server).min(1, 'is empty'))
    .optional(),
  PODGATE_DNS_RFC2136_ZONE: domain.optional(),
  PODGATE_DNS_RFC2136_KEY_NAME: domain.optional(),
  PODGATE_DNS_RFC2136_KEY_SECRET: z
    .base64('must be base64, as the key file of the server has it')
    .pipe(text)
    .optional(),
};
type Values = z.output<z.ZodObject<typeof dnsShape>>;

/** Undefined: nobody named a provider. Throws `BadSetting`. */
export function chooseDns(values: Values): Rfc2136Settings | undefined {
  const {
    PODGATE_DNS_PROVIDER: provider,
    PODGATE_DNS_RFC2136_SERVER: primary,
    PODGATE_DNS_RFC2136_ZONE: zone,
    PODGATE_DNS_RFC2136_KEY_NAME: keyName,
    PODGATE_DNS_RFC2136_KEY_SECRET: keySecret,
    PODGATE_DNS_RFC2136_AUTHORITATIVE: authoritative,
  } = values;
  if (provider === undefined) {
    const needing = Object.entries(values).find(
      ([name, value]) => name.startsWith('PODGATE_DNS_') && value !== undefined,
    )?.[0];
    if (needing) throw new BadSetting(`${needing} is set: PODGATE_DNS_PROVIDER must be as well`);
    return undefined;
  }
  return {
    server: needed('PODGATE_DNS_RFC2136_SERVER', primary),
    authoritative: authoritative ?? [needed('PODGATE_DNS_RFC2136_SERVER', primary)],
    zone: needed('PODGATE_DNS_RFC2136_ZONE', zone),
    key: {
      name: needed('PODGATE_DNS_RFC2136_KEY_NAME', keyName),
      secret: Buffer.from(needed('PODGATE_DNS_RFC2136_KEY_SECRET', keySecret), 'base64'),
    },
  };
}

function needed<T>(name: keyof Values, value: T | undefined): T {
  if (value !== undefined) return value;
  throw new BadSetting(`PODGATE_DNS_PROVIDER is "rfc2136": ${name} must be set as well`);
}
