// http-proxy-3 as its README has it for TLS, with upstream connections kept.
//   node http-proxy-3.mjs <module> <port> <upstream port> <chain.pem> <key.pem> <cipher suites>
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';

const [module, port, upstreamPort, chain, key, ciphers] = process.argv.slice(2);
const { createProxyServer } = await import(module);
const proxy = createProxyServer({
  target: { host: '127.0.0.1', port: Number(upstreamPort) },
  ssl: {
    cert: readFileSync(chain),
    key: readFileSync(key),
    ciphers,
    honorCipherOrder: true,
  },
  xfwd: true,
  agent: new http.Agent({ keepAlive: true, maxFreeSockets: 256 }),
});
proxy.on('proxyReq', (request) => request.setHeader('X-Request-ID', randomUUID()));
proxy.on('error', (error) => console.error(error.message));
proxy.listen(Number(port), '127.0.0.1');
