/** Where NATS is, as `PODGATE_NATS_URL` says it. */
export interface NatsAddress {
  /** `host:port` of some servers of one cluster; the others are learnt from them. */
  readonly servers: readonly string[];
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** The text is no address; the message says what is wrong and never repeats a password. */
export class BadNatsUrl extends Error {
  override readonly name = 'BadNatsUrl';
}

const forms = 'nats://host:4222 or tls://user:password@host1:4222,host2:4222';
const shape =
  /^(?<scheme>nats|tls):\/\/(?:(?<user>[^:@/]+)(?::(?<password>[^@/]*))?@)?(?<hosts>[^@/?#]+)\/?$/;

/** Reads `nats://` and, for TLS, `tls://`, with several hosts by commas. Throws `BadNatsUrl`. */
export function parseNatsUrl(url: string): NatsAddress {
  const parts = shape.exec(url)?.groups;
  if (!parts) throw new BadNatsUrl(`must look like ${forms}`);
  return {
    servers: String(parts['hosts']).split(',').map(serverOf),
    tls: parts['scheme'] === 'tls',
    username: decoded(parts['user'] ?? '') || undefined,
    password: decoded(parts['password'] ?? '') || undefined,
  };
}

function serverOf(text: string): string {
  const found = /^(?<name>\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(?<port>\d{1,5}))?$/.exec(text)?.groups;
  const port = Number(found?.['port'] ?? 4222);
  if (!found || port < 1 || port > 65_535) {
    throw new BadNatsUrl(`names a host that cannot be: "${text}"`);
  }
  return `${found['name']}:${port}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new BadNatsUrl('has a % that is not followed by two hexadecimal digits');
  }
}
