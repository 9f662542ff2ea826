import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathOf } from '../machine/tools.ts';
import type { PeerSettings } from './peer.ts';
import { podHost } from './peer.ts';

/** Caddy sets X-Forwarded-For, -Proto and -Host by itself; its processor is one, by the pinning. */
export async function caddy(settings: PeerSettings): Promise<readonly string[]> {
  const { folder, port, upstreamPort, chain, key } = settings;
  const file = join(folder, 'Caddyfile');
  writeFileSync(
    file,
    `{
  admin off
  auto_https off
  storage file_system ${folder}/caddy
  default_bind 127.0.0.1
}
https://${podHost}:${port} {
  tls ${chain} ${key}
  reverse_proxy 127.0.0.1:${upstreamPort} {
    header_up X-Forwarded-Port 443
    header_up X-Request-ID {http.request.uuid}
    transport http {
      versions 1.1
      keepalive_idle_conns 512
      keepalive_idle_conns_per_host 256
    }
  }
}
`,
  );
  // It keeps a copy of its configuration there.
  const home = `XDG_CONFIG_HOME=${folder}/caddy`;
  return ['env', home, pathOf('caddy'), 'run', '--adapter', 'caddyfile', '--config', file];
}
