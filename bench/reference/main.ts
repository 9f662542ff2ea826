import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';

/**
 * The least that a gateway in Node can be: looks at the first bytes, puts them back, ends TLS, answers.
 * What a connection takes here is Node's and OpenSSL's share. Arguments: chain, key, port.
 */

const [chain = '', key = '', port] = process.argv.slice(2);
const secureContext = tls.createSecureContext({
  cert: readFileSync(chain),
  key: readFileSync(key),
});
const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

net
  .createServer({ noDelay: true }, (raw) => {
    raw.on('error', () => undefined);
    raw.once('readable', () => {
      const bytes: unknown = raw.read();
      if (Buffer.isBuffer(bytes)) raw.unshift(bytes);
      const socket = new tls.TLSSocket(raw, { isServer: true, secureContext });
      socket.on('error', () => undefined);
      socket.on('data', () => socket.write(answer));
    });
  })
  .listen(Number(port), '127.0.0.1', 1024);
