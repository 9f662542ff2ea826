const payload = Buffer.alloc(64, 'x');

/**
 * A message of 64 bytes as a client and as a server sends it (RFC 6455, 5.2). The mask is zero, which
 * spares client and pod the work and is nothing to who passes it on.
 */
export const frames = {
  masked: Buffer.concat([Buffer.from([0x82, 0x80 | payload.length, 0, 0, 0, 0]), payload]),
  plain: Buffer.concat([Buffer.from([0x82, payload.length]), payload]),
} as const;
