import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathOf } from '../machine/tools.ts';
import type { PeerSettings } from './peer.ts';
import { cipherSuites } from './peer.ts';

const jsonLog = `
  log_format json escape=json '{"time":"$time_iso8601","request_id":"$request_id","client":"$remote_addr",'
    '"host":"$host","method":"$request_method","uri":"$request_uri","protocol":"$server_protocol",'
    '"status":$status,"bytes_in":$request_length,"bytes_out":$bytes_sent,"seconds":$request_time,'
    '"upstream":"$upstream_addr","upstream_status":"$upstream_status",'
    '"upstream_connect":"$upstream_connect_time","upstream_header":"$upstream_header_time",'
    '"upstream_time":"$upstream_response_time","agent":"$http_user_agent","referer":"$http_referer"}';`;

const tls = ({ port, chain, key }: PeerSettings, protocols: string): string => `
    listen 127.0.0.1:${port} ssl${protocols};
    ssl_certificate ${chain};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    ssl_conf_command Ciphersuites ${cipherSuites};`;

// Buffers for a whole answer and no temporary files: it shall pass bodies on, not store them.
const http = (settings: PeerSettings): string => `
http {
  keepalive_requests 100000000;
  client_max_body_size 0;${settings.accessLog ? jsonLog : ''}
  access_log ${settings.accessLog ? join(settings.folder, 'nginx-access.log json buffer=64k flush=1s') : 'off'};
  client_body_temp_path ${settings.folder}/nginx-body;
  proxy_temp_path ${settings.folder}/nginx-proxy;
  fastcgi_temp_path ${settings.folder}/nginx-fastcgi;
  uwsgi_temp_path ${settings.folder}/nginx-uwsgi;
  scgi_temp_path ${settings.folder}/nginx-scgi;
  gzip ${settings.gzip ? 'on' : 'off'};
  gzip_comp_level 5;
  gzip_proxied any;
  gzip_types text/plain;
  upstream pod {
    server 127.0.0.1:${settings.upstreamPort};
    keepalive 256;
    keepalive_requests 100000000;
  }
  map $http_upgrade $connection_field {
    default upgrade;
    '' '';
  }
  server {${tls(settings, ' http2')}
    location / {
      proxy_pass http://pod;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffers 16 16k;
      proxy_max_temp_file_size 0;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_field;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Port 443;
      proxy_set_header X-Request-ID $request_id;
    }
  }
}`;

const stream = (settings: PeerSettings): string => `
stream {
  map $ssl_server_name $pod {
    a.pods.example.test 127.0.0.1:${settings.upstreamPort};
  }
  server {${tls(settings, '')}
    proxy_pass $pod;
  }
}`;

export async function nginx(settings: PeerSettings): Promise<readonly string[]> {
  const file = join(settings.folder, `nginx-${settings.mode}-${settings.port}.conf`);
  const module = settings.mode === 'tcp' ? `load_module ${pathOf('nginx-stream')};\n` : '';
  const head = `${module}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${file}.pid;
error_log ${file}.err;
events { worker_connections 10000; }`;
  writeFileSync(file, `${head}${settings.mode === 'tcp' ? stream(settings) : http(settings)}\n`);
  return [pathOf('nginx'), '-c', file];
}

/** The servers behind everybody: small and large answers from one nginx. */
export function nginxUpstream(folder: string, port: number): readonly string[] {
  const file = join(folder, `upstream-${port}.conf`);
  writeFileSync(
    file,
    `daemon off;
worker_processes 1;
pid ${file}.pid;
error_log ${file}.err;
events { worker_connections 10000; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  default_type text/plain;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10;
  client_body_temp_path ${folder}/upstream-body;
  proxy_temp_path ${folder}/upstream-proxy;
  fastcgi_temp_path ${folder}/upstream-fastcgi;
  uwsgi_temp_path ${folder}/upstream-uwsgi;
  scgi_temp_path ${folder}/upstream-scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${folder}/files;
    location = /port { return 200 "port $server_port\\n"; }
    location = / { return 200 "hello world, a small response of some bytes\\n"; }
  }
}
`,
  );
  return [pathOf('nginx'), '-c', file];
}
