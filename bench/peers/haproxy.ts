import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathOf } from '../machine/tools.ts';
import type { PeerSettings } from './peer.ts';
import { cipherSuites } from './peer.ts';

const head = `global
  nbthread 1
  maxconn 8000
  ssl-default-bind-options ssl-min-ver TLSv1.2
  ssl-default-bind-ciphersuites ${cipherSuites}
defaults
  timeout client 300s
  timeout server 300s
  timeout connect 5s
`;

const http = ({ port, upstreamPort, both }: PeerSettings): string => `${head}
  mode http
  option http-keep-alive
  http-reuse always
  unique-id-format %{+X}o%ts%rt%pid
frontend public
  bind 127.0.0.1:${port} ssl crt ${both} alpn h2,http/1.1
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port 443
  http-request set-header X-Request-ID %[unique-id]
  default_backend pod
backend pod
  server pod 127.0.0.1:${upstreamPort} pool-max-conn 256
`;

const tcp = ({ port, upstreamPort, both }: PeerSettings): string => `${head}
  mode tcp
frontend public
  bind 127.0.0.1:${port} ssl crt ${both}
  use_backend pod if { ssl_fc_sni a.pods.example.test }
backend pod
  server pod 127.0.0.1:${upstreamPort}
`;

export async function haproxy(settings: PeerSettings): Promise<readonly string[]> {
  const file = join(settings.folder, `haproxy-${settings.mode}-${settings.port}.cfg`);
  writeFileSync(file, settings.mode === 'tcp' ? tcp(settings) : http(settings));
  return [pathOf('haproxy'), '-db', '-f', file];
}
