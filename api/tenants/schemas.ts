import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { certificateModes } from '#contracts/certificate-state.ts';
import { zNewPassword } from '../auth/user-routes.ts';
import { zUsername } from '../auth/names.ts';
import { zTime } from '../times.ts';

const text = (max: number): z.ZodString => z.string().max(max, `is longer than ${max}`);

/** https, or http of this machine, where there is nobody to listen in. */
function isFetchable(uri: string): boolean {
  if (!URL.canParse(uri)) return false;
  const { protocol, hostname, username, password } = new URL(uri);
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  return (protocol === 'https:' || (protocol === 'http:' && local)) && !username && !password;
}

function isRsaKey(pem: string): boolean {
  try {
    const key = createPublicKey({ key: pem, format: 'pem', type: 'spki' });
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    return key.asymmetricKeyType === 'rsa' && bits >= 2048 && !pem.includes('PRIVATE');
  } catch {
    return false;
  }
}

const zWireIssuer = z
  .strictObject({
    issuer: text(2000).min(1, 'is empty').describe('The claim `iss`, letter by letter.'),
    jwks_uri: text(2000)
      .refine(isFetchable, 'must be an https URL (http for this machine)')
      .optional()
      .describe('Where its keys are; or give one in public_key.'),
    public_key: text(10_000)
      .refine(isRsaKey, 'must be the PEM of a public RSA key of 2048 bits or more')
      .optional(),
    audience: text(2000)
      .min(1, 'is empty')
      .optional()
      .describe('What `aud` must name. Left out: tokens must have none, and name the tenant.'),
    username_claim: text(255).min(1, 'is empty').default('tapis/username'),
  })
  .refine(
    ({ jwks_uri: uri, public_key: key }) => (uri === undefined) !== (key === undefined),
    'must have one of jwks_uri and public_key',
  )
  .describe('Somebody else whose tokens are good for this tenant.');
export type WireIssuer = z.infer<typeof zWireIssuer>;

const settings = {
  description: text(2048),
  status: z.enum(['active', 'inactive'], 'must be active or inactive'),
  issuers: z.array(zWireIssuer).max(10, 'has more than 10 entries'),
  admins: z
    .array(zUsername)
    .max(1000, 'has more than 1000 entries')
    .describe('Users of those issuers who are admins.'),
  allowed_users: z
    .array(zUsername)
    .max(5_000, 'has more than 5000 entries')
    .nullable()
    .describe('Users of those issuers who are let in; null: all.'),
  certificate_mode: z
    .enum(certificateModes, `must be one of ${certificateModes.join(', ')}, or null`)
    .nullable()
    .describe(
      'How its pods come by certificates: hybrid, per-pod, wildcard or own; null: as PODGATE_CERT_MODE says. What the operator set up decides which are possible.',
    ),
};

const admin = z
  .strictObject({ username: zUsername, password: zNewPassword })
  .describe('A user made with it, who can make the others.');

export const zTenantSettings = z
  .strictObject({ ...settings, admin })
  .partial()
  .meta({ examples: [{ admins: ['grace'], allowed_users: ['grace', 'alan'] }] });

export const zNewTenant = zTenantSettings
  .extend({
    tenant_id: z
      .string()
      .regex(
        /^(?=.{1,63}$)[a-z]([a-z0-9-]*[a-z0-9])?$/,
        'must be 1 to 63 of a-z, 0-9 and -, starting with a letter, not ending with -',
      )
      .describe('Also the first label of its domain.'),
  })
  .meta({
    examples: [
      {
        tenant_id: 'acme',
        description: 'The people of ACME, by their own accounts.',
        issuers: [
          {
            issuer: 'https://login.acme.example/realms/acme',
            jwks_uri: 'https://login.acme.example/realms/acme/protocol/openid-connect/certs',
            audience: 'podgate',
            username_claim: 'preferred_username',
          },
        ],
        admins: ['grace'],
      },
    ],
  });

export const zTenant = z
  .strictObject({
    tenant_id: z.string(),
    site_id: z.string(),
    base_url: z.string().describe('Of the tenant of this host: the origin of this request.'),
    public_key: z.string().describe('PEM: verifies the tokens of the tenant.'),
    status: z.string(),
    description: z.string(),
    token_service: z.string(),
    authenticator: z.string(),
    created_by: z.string(),
    create_time: zTime,
    last_update_time: zTime,
  })
  .meta({ id: 'Tenant' });
export type WireTenant = z.infer<typeof zTenant>;

export const zTenantInFull = z
  .strictObject({
    ...zTenant.shape,
    issuers: settings.issuers,
    admins: settings.admins,
    allowed_users: settings.allowed_users,
    certificate_mode: settings.certificate_mode,
  })
  .meta({ id: 'TenantInFull' });
