import { isIP } from 'node:net';
import { z } from 'zod';
import type { Network } from '#contracts/pod.ts';
import type { Compression, Cors, Policy } from '#contracts/policy.ts';
import { contentCodings } from '#contracts/policy.ts';
import { zPodCertificate } from './certificate-schema.ts';
import { notYet } from './not-yet.ts';
import { sparse } from './sparse.ts';

/** The networking object of the wire: names, defaults and bounds, and how it is stored. */

const emptyText = z.literal('', notYet).default('');
const off = z.literal(false, notYet).default(false);
const emptyMap = z
  .record(z.string(), z.unknown())
  .refine((map) => Object.keys(map).length === 0, notYet);

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // RFC 9110, 5.6.2
const listMax = 100;
const few = <T extends z.ZodType>(item: T): z.ZodArray<T> =>
  z.array(item).max(listMax, `has more than ${listMax} entries`);

/** Whether `text` is an address or a CIDR block, with nothing guessed (999.1.1.1 is none). */
function isBlock(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || address.includes('%')) return false;
  if (/^::ffff:\d/i.test(address)) return false; // clients on IPv4 are known by their IPv4 address
  if (prefix === undefined) return true;
  return /^(0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128);
}

const zBlock = z
  .string()
  .refine(
    isBlock,
    'must be an IPv4 or IPv6 address or a CIDR block such as 203.0.113.0/24 or 2001:db8::/32',
  );

// A host name has 253 characters; scheme and port come on top.
const originLengthMax = 300;
const nameLengthMax = 100;

/** A name of HTTP. Routes travel to every gateway, so what they carry is bounded. */
const zName = (what: string): z.ZodString =>
  z
    .string()
    .max(nameLengthMax, `must have at most ${nameLengthMax} characters`)
    .regex(token, `must be a ${what}`);

const zOrigin = z
  .string()
  .max(originLengthMax, `must have at most ${originLengthMax} characters`)
  .regex(
    /^(\*|[a-z][a-z0-9+.-]*:\/\/([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?)$/,
    'must be * or an origin as browsers send it, such as https://app.example.org',
  );

const wireFields = {
  protocol: z
    .string()
    .toLowerCase()
    .pipe(
      z.enum(
        ['http', 'tcp', 'postgres', 'local_only'],
        'must be http, tcp, postgres or local_only',
      ),
    )
    .default('http'),
  port: z
    .int('must be a port number')
    .min(10, 'must be a port from 10 to 65535')
    .max(65_535, 'must be a port from 10 to 65535')
    .default(5000),
  url: z.string().max(128, 'must have at most 128 characters').default('').describe('Set by us.'),
  tls: z
    .enum(['terminate', 'passthrough'], 'must be terminate or passthrough')
    .default('terminate')
    .describe('passthrough: the pod has a certificate of its own and ends TLS itself.'),
  upstream_protocol: z
    .enum(['http1', 'h2c'], 'must be http1 or h2c')
    .default('http1')
    .describe('h2c: the pod speaks HTTP/2 without TLS, as gRPC servers do.'),
  alpn: few(
    z
      .string()
      .regex(/^[\u0021-\u007e]{1,255}$/, 'must be an ALPN protocol name in ASCII')
      .refine((name) => name !== 'acme-tls/1', 'is reserved for certificates'),
  )
    .default([])
    .describe('For tcp: the protocols offered in TLS, in order of preference.'),
  ip_allow_list: few(zBlock).default([]),
  tapis_auth: off,
  tapis_auth_response_headers: emptyMap.default({}),
  tapis_auth_allowed_users: z
    .array(z.string())
    .refine((users) => users.length === 1 && users[0] === '*', notYet)
    .default(['*']),
  tapis_auth_return_path: z.literal('/', notYet).default('/'),
  cors_allow_origins: few(zOrigin).default([]),
  cors_allow_methods: few(zName('method')).default([]),
  cors_allow_headers: few(zName('header name')).default([]),
  cors_allow_credentials: z.boolean().default(false),
  cors_max_age: z
    .int('must be a whole number of seconds')
    .min(0, 'must be 0 to 100 seconds')
    .max(100, 'must be 0 to 100 seconds')
    .default(100),
  tapis_ui_uri: emptyText,
  tapis_ui_uri_redirect: off,
  tapis_ui_uri_description: emptyText,
  proxy_compression: z.boolean().default(true).describe('For http that the gateway can read.'),
  proxy_compression_encodings: few(z.enum(contentCodings, 'must be zstd, br or gzip'))
    .min(1, 'is empty: leave it out, or set proxy_compression to false')
    .default([...contentCodings]),
  proxy_compression_excluded_content_types: few(
    z
      .string()
      .max(nameLengthMax, `must have at most ${nameLengthMax} characters`)
      .toLowerCase()
      .regex(/^[\w.+-]+\/[\w.+-]+$/, 'must be a media type such as text/csv'),
  ).default([]),
  proxy_compression_min_response_body_bytes: z
    .int('must be a whole number of bytes')
    .min(0, 'must not be negative')
    .default(1024),
};

const zNetworkName = z
  .string()
  .regex(/^[a-z0-9]{3,61}$/, 'a network name has 3 to 61 lowercase letters and digits');

type Fields = z.infer<z.ZodObject<typeof wireFields>>;

/** Whether the gateway sees requests and answers, not bytes alone. */
const readable = ({ protocol, tls }: Fields): boolean => protocol === 'http' && tls === 'terminate';
const local = ({ protocol }: Fields): boolean => protocol === 'local_only';
const corsAsked = (network: Fields): boolean =>
  network.cors_allow_credentials ||
  [network.cors_allow_origins, network.cors_allow_methods, network.cors_allow_headers].some(
    (list) => list.length > 0,
  );

const unreached = 'a local_only network is not reached through the gateway';
const needsHttp = 'needs protocol http and tls terminate';

/** What contradicts itself: nothing is accepted that would not be done. */
const contradictions: readonly (readonly [
  field: keyof Fields,
  message: string,
  holds: (network: Fields) => boolean,
])[] = [
  ['tls', unreached, (network) => network.tls === 'passthrough' && local(network)],
  ['ip_allow_list', unreached, (network) => network.ip_allow_list.length > 0 && local(network)],
  [
    'upstream_protocol',
    `h2c ${needsHttp}`,
    (network) => network.upstream_protocol === 'h2c' && !readable(network),
  ],
  [
    'alpn',
    'needs protocol tcp and tls terminate',
    ({ alpn, protocol, tls }) => alpn.length > 0 && (protocol !== 'tcp' || tls !== 'terminate'),
  ],
  ['cors_allow_origins', needsHttp, (network) => corsAsked(network) && !readable(network)],
  [
    'cors_allow_origins',
    'is empty, name origins',
    (network) => corsAsked(network) && network.cors_allow_origins.length === 0,
  ],
  [
    'cors_allow_credentials',
    'needs origins by name, browsers refuse it with *',
    (network) => network.cors_allow_credentials && network.cors_allow_origins.includes('*'),
  ],
];

const back = z.unknown().optional().describe('Set by us; what is sent back is not looked at.');

/** Networks as they are said: leaves that are left out are left to templates and defaults. */
export const zSaidNetworks = z.record(
  zNetworkName,
  z.strictObject({ ...sparse(wireFields), cert_state: back, certificate: back }),
);

export const zSaidNetworking = zSaidNetworks.refine(
  (networks) => Object.keys(networks).length > 0,
  'has no network, name at least one',
);

export const zWireNetwork = z.strictObject(wireFields).check((context) => {
  const found = contradictions.find(([, , holds]) => holds(context.value));
  if (!found) return;
  const [field, message] = found;
  context.issues.push({ code: 'custom', path: [field], message, input: context.value[field] });
});
export type WireNetwork = z.infer<typeof zWireNetwork>;

/** A network as it is answered. */
export const zShownNetwork = z.strictObject({
  ...wireFields,
  cert_state: zPodCertificate.shape.phase
    .optional()
    .describe('The phase of `certificate`; like it only where one pod is read.'),
  certificate: zPodCertificate
    .optional()
    .describe('As GET /v3/pods/{pod_id}/certificate has it; one for all networks of a pod.'),
});
export type ShownNetwork = z.infer<typeof zShownNetwork>;

const networksMax = 4;
/** All networks of a pod with all their leaves; contradictions between leaves are refused. */
export const zNetworking = z
  .record(zNetworkName, zWireNetwork)
  .refine((networks) => Object.keys(networks).length <= networksMax, 'has more than 4 networks');

/** As it is stored: what the gateway shall enforce stands in the policy. */
export function storedNetwork(wire: WireNetwork): Network {
  const { protocol, port, tls } = wire;
  const policy: Policy = {
    ...(tls === 'passthrough' ? { passthrough: true } : {}),
    ...(wire.upstream_protocol === 'h2c' ? { h2c: true } : {}),
    ...(wire.alpn.length > 0 ? { alpn: wire.alpn } : {}),
    ...(wire.ip_allow_list.length > 0 ? { allow: wire.ip_allow_list } : {}),
    ...(wire.cors_allow_origins.length > 0 ? { cors: corsOf(wire) } : {}),
    ...(readable(wire) && wire.proxy_compression ? { compression: compressionOf(wire) } : {}),
  };
  return { protocol, port, ...(Object.keys(policy).length > 0 ? { policy } : {}) };
}

/** As the wire shows it: all fields, always. */
export function wireNetwork({ protocol, port, policy }: Network, url: string): WireNetwork {
  const { passthrough, h2c, alpn, allow, cors, compression } = policy ?? {};
  return zWireNetwork.parse({
    protocol,
    port,
    url,
    tls: passthrough ? 'passthrough' : 'terminate',
    upstream_protocol: h2c ? 'h2c' : 'http1',
    alpn,
    ip_allow_list: allow,
    cors_allow_origins: cors?.origins,
    cors_allow_methods: cors?.methods,
    cors_allow_headers: cors?.headers,
    cors_allow_credentials: cors?.credentials,
    cors_max_age: cors?.maxAgeSeconds,
    proxy_compression: compression !== undefined,
    proxy_compression_encodings: compression?.codings,
    proxy_compression_excluded_content_types: compression?.excludedTypes,
    proxy_compression_min_response_body_bytes: compression?.minBytes,
  });
}

const corsOf = (wire: WireNetwork): Cors => ({
  origins: wire.cors_allow_origins,
  methods: wire.cors_allow_methods,
  headers: wire.cors_allow_headers,
  credentials: wire.cors_allow_credentials,
  maxAgeSeconds: wire.cors_max_age,
});

const compressionOf = (wire: WireNetwork): Compression => ({
  codings: wire.proxy_compression_encodings,
  excludedTypes: wire.proxy_compression_excluded_content_types,
  minBytes: wire.proxy_compression_min_response_body_bytes,
});
