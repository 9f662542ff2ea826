import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

/**
 * The least that a gateway in Node can be: looks at the first bytes, puts them back, ends TLS, answers.
 * What a connection takes here is Node's and OpenSSL's share. In HTTP/2 it is Node's own server, which
 * reads one event of a stream and answers it. Arguments: chain, key, port, protocol.
 */

const [chain = '', key = '', port, protocol] = process.argv.slice(2);
const identity = { cert: readFileSync(chain), key: readFileSync(key) };
const secureContext = tls.createSecureContext(identity);
const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

const h1 = (): net.Server =>
  net.createServer({ noDelay: true }, (raw) => {
    raw.on('error', () => undefined);
    raw.once('readable', () => {
      const bytes: unknown = raw.read();
      if (Buffer.isBuffer(bytes)) raw.unshift(bytes);
      const socket = new tls.TLSSocket(raw, { isServer: true, secureContext });
      socket.on('error', () => undefined);
      socket.on('data', () => socket.write(answer));
    });
  });

function h2(): net.Server {
  const server = http2.createSecureServer({ ...identity, ciphers: 'TLS_AES_128_GCM_SHA256' });
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-length': '2' });
    stream.end('hi');
  });
  return server;
}

(protocol === 'h2' ? h2() : h1()).listen(Number(port), '127.0.0.1', 1024);
