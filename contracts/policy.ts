import { z } from 'zod';

/** Codings of HTTP content that the gateway can apply (RFC 9110, 8.4.1; RFC 8878 for zstd). */
export const contentCodings = ['zstd', 'br', 'gzip'] as const;

const zCors = z.strictObject({
  /** Origins as browsers send them, or `*`. */
  origins: z.array(z.string()),
  methods: z.array(z.string()),
  headers: z.array(z.string()),
  credentials: z.boolean(),
  maxAgeSeconds: z.int(),
});
export type Cors = z.infer<typeof zCors>;

const zCompression = z.strictObject({
  /** In order of preference. */
  codings: z.array(z.enum(contentCodings)),
  /** Media types, beyond those known to be compressed already. */
  excludedTypes: z.array(z.string()),
  minBytes: z.int(),
});
export type Compression = z.infer<typeof zCompression>;

/** What the owner of a network asks of the gateway. A part that is absent was not asked for. */
export const zPolicy = z.strictObject({
  /** The pod ends TLS itself and has its own certificate: the gateway passes bytes as they come. */
  passthrough: z.literal(true).optional(),
  /** The pod speaks HTTP/2 without TLS, with prior knowledge (RFC 9113, 3.3). */
  h2c: z.literal(true).optional(),
  /** ALPN protocols of a TCP service, in order of preference. */
  alpn: z.array(z.string()).optional(),
  /** Who may connect: addresses and CIDR blocks, IPv4 and IPv6. */
  allow: z.array(z.string()).optional(),
  cors: zCors.optional(),
  compression: zCompression.optional(),
});
export type Policy = z.infer<typeof zPolicy>;
