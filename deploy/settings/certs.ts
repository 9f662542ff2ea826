import { resolve } from 'node:path';
import { z } from 'zod';
import { certificateModes } from '#contracts/certificate-state.ts';
import { chooseDns, dnsShape } from './dns.ts';
import { text } from './fields.ts';
import { BadSetting, group } from './group.ts';

const directory = z
  .url({ protocol: /^https?$/, error: 'must be the https URL of an ACME directory' })
  .optional();
const base64url = z.string().regex(/^[\w-]+={0,2}$/, 'must be base64url, as the authority gave it');
const count = z.coerce
  .number('must be a number')
  .int('must be a whole number')
  .min(0, 'must not be negative');

const shape = {
  PODGATE_CERT_MODE: z
    .enum(certificateModes, `must be one of ${certificateModes.join(', ')}`)
    .optional(),
  PODGATE_ACME_DIRECTORY: directory,
  PODGATE_ACME_CA_FILE: text.optional(),
  PODGATE_ACME_EMAIL: z.email('must be an e-mail address').optional(),
  PODGATE_ACME_EAB_KID: text.optional(),
  PODGATE_ACME_EAB_HMAC: base64url.optional(),
  PODGATE_ACME_PROFILE: text.optional(),
  PODGATE_ACME_STAGING_DIRECTORY: directory,
  PODGATE_ACME_SECOND_DIRECTORY: directory,
  PODGATE_ACME_SECOND_CA_FILE: text.optional(),
  PODGATE_ACME_SECOND_EAB_KID: text.optional(),
  PODGATE_ACME_SECOND_EAB_HMAC: base64url.optional(),
  PODGATE_ACME_PREFLIGHT: z
    .string()
    .regex(/^(on|off|[\w.-]+(:\d{1,5})?|\[[\da-f:]+\](:\d{1,5})?)$/, 'must be on, off or host:port')
    .default('on'),
  PODGATE_ACME_CERTIFICATES_PER_WEEK: count.optional(),
  PODGATE_ACME_ORDERS_PER_3_HOURS: count.optional(),
  ...dnsShape,
};
type Values = z.output<z.ZodObject<typeof shape>>;

/** An ACME authority as the settings name it. */
export interface AcmeChoice {
  readonly directoryUrl: string;
  /** The file that says whom to trust as its server, and the setting that names the file. */
  readonly ca: { readonly setting: string; readonly file: string } | undefined;
  readonly binding: { readonly kid: string; readonly hmacKey: string } | undefined;
}

/** Authorities beside our own; undefined: none, our own makes all certificates. */
export const certs = group({
  shape,
  secrets: [
    'PODGATE_ACME_EAB_HMAC',
    'PODGATE_ACME_SECOND_EAB_HMAC',
    'PODGATE_DNS_RFC2136_KEY_SECRET',
  ],
  choose: (values) => {
    const { PODGATE_ACME_DIRECTORY: url, PODGATE_CERT_MODE: mode } = values;
    const dns = chooseDns(values);
    if (url === undefined) {
      refuseWithoutDirectory(values);
      return undefined;
    }
    if (mode === 'own') return undefined;
    const first = acme('PODGATE_ACME', url, values);
    const secondUrl = values.PODGATE_ACME_SECOND_DIRECTORY;
    const second = secondUrl === undefined ? [] : [acme('PODGATE_ACME_SECOND', secondUrl, values)];
    const stagingUrl = values.PODGATE_ACME_STAGING_DIRECTORY;
    return {
      mode: modeOf(mode, dns !== undefined),
      /** Where TXT records that prove a domain to be ours are changed; needed for wildcards. */
      dns,
      real: [first, ...second],
      staging:
        stagingUrl === undefined
          ? undefined
          : { directoryUrl: stagingUrl, ca: first.ca, binding: undefined },
      email: values.PODGATE_ACME_EMAIL,
      profile: values.PODGATE_ACME_PROFILE,
      preflight: values.PODGATE_ACME_PREFLIGHT,
      certificatesPerWeek: values.PODGATE_ACME_CERTIFICATES_PER_WEEK,
      ordersPer3Hours: values.PODGATE_ACME_ORDERS_PER_3_HOURS,
    };
  },
});

export type CertsChoice = NonNullable<ReturnType<typeof certs.read>>;

function modeOf(asked: Exclude<Values['PODGATE_CERT_MODE'], 'own'>, hasDns: boolean) {
  const mode = asked ?? (hasDns ? 'hybrid' : 'per-pod');
  if (hasDns || mode === 'per-pod') return mode;
  throw new BadSetting(
    `PODGATE_CERT_MODE is "${mode}", which needs a wildcard: PODGATE_DNS_PROVIDER must be set`,
  );
}

function refuseWithoutDirectory(values: Values): void {
  const { PODGATE_CERT_MODE: mode, PODGATE_ACME_PREFLIGHT: _default, ...others } = values;
  const needing = Object.entries(others).find(([, value]) => value !== undefined)?.[0];
  if (needing) throw new BadSetting(`${needing} is set: PODGATE_ACME_DIRECTORY must be as well`);
  if (mode !== undefined && mode !== 'own') {
    throw new BadSetting(`PODGATE_CERT_MODE is "${mode}": PODGATE_ACME_DIRECTORY must be set`);
  }
}

function acme(
  prefix: 'PODGATE_ACME' | 'PODGATE_ACME_SECOND',
  directoryUrl: string,
  values: Values,
): AcmeChoice {
  const caSetting = `${prefix}_CA_FILE` as const;
  const caFile = values[caSetting];
  const kid = values[`${prefix}_EAB_KID`];
  const hmacKey = values[`${prefix}_EAB_HMAC`];
  if ((kid === undefined) !== (hmacKey === undefined)) {
    throw new BadSetting(`${prefix}_EAB_KID and ${prefix}_EAB_HMAC go together: set both or none`);
  }
  const binding = kid === undefined || hmacKey === undefined ? undefined : { kid, hmacKey };
  const ca = caFile === undefined ? undefined : { setting: caSetting, file: resolve(caFile) };
  return { directoryUrl, ca, binding };
}
