import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { patternBytes } from './pattern.ts';
import { echo } from './websocket.ts';

/**
 * The image `podgate/hello`: a page, and something to try every kind of traffic with.
 *
 * PORT is where it serves HTTP. HELLO_TCP may name a second network: on that one's port
 * (PORT_<NETWORK>) it answers every line with the same line. HELLO_NAME is whom the page greets for.
 * HELLO_HOST is the address to listen on: in a container 0.0.0.0, else 127.0.0.1.
 */

type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
) => void | Promise<void>;

const eventEveryMs = 200;
const slowMsMax = 10 * 60_000;

const routes: Readonly<Record<string, Handler>> = {
  'GET /': page,
  'GET /healthz': (_request, response) => {
    sendJson(response, 200, { status: 'ok' });
  },
  'GET /events': events,
  'GET /download': download,
  'GET /slow': slow,
  'PUT /upload': upload,
  'POST /upload': upload,
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(`http://pod${request.url ?? '/'}`);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const handler = routes[`${method} ${url.pathname}`];
  if (handler) await handler(request, response, url);
  else sendJson(response, 404, { message: 'not here', try: Object.keys(routes) });
}

function page(request: IncomingMessage, response: ServerResponse): void {
  const name = process.env['HELLO_NAME'] ?? request.headers.host ?? 'a pod';
  const rows = Object.entries(request.headers)
    // A page that shows cookies and tokens would hand them to whoever looks over a shoulder.
    .filter(([header]) => !/^(cookie|authorization|x-tapis-token)$/.test(header))
    .map(([header, value]) => `<tr><td>${escape(header)}<td>${escape(String(value))}`);
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hello from ${escape(name)}</title>
<style>body{font:1rem/1.5 system-ui;margin:3rem auto;max-width:46rem;padding:0 1rem}
td{padding:0 1rem 0 0;vertical-align:top;word-break:break-word}code{background:#8882}</style>
<h1>Hello from ${escape(name)}</h1>
<p>This page comes from a pod: a program of its own, reached over TLS at an address of its own.
<p>To try: <a href="/events?count=5"><code>/events?count=5</code></a> sends events one by one,
<a href="/download?bytes=1000000"><code>/download?bytes=1000000</code></a> sends bytes,
<code>PUT /upload</code> counts them, <code>/ws</code> echoes WebSocket messages,
<a href="/slow?ms=1000"><code>/slow?ms=1000</code></a> takes its time.
<h2>Your request as it arrived here</h2>
<table>${rows.join('\n')}</table>
`);
}

async function events(
  _request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const count = numberFrom(url, 'count', Number.POSITIVE_INFINITY);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  for (let id = 1; id <= count && !response.destroyed; id += 1) {
    if (id > 1) await sleep(eventEveryMs);
    response.write(`id: ${id}\ndata: ${JSON.stringify({ id, atMs: Date.now() })}\n\n`);
  }
  response.end();
}

async function download(
  _request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const bytes = numberFrom(url, 'bytes', 1_000_000);
  response.setHeader('content-type', 'application/octet-stream');
  if (url.searchParams.get('chunked') !== '1') response.setHeader('content-length', bytes);
  await pipeline(patternBytes(bytes), response);
}

async function upload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  sendJson(response, 200, { bytes, sha256: hash.digest('hex') });
}

async function slow(_request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const ms = Math.min(numberFrom(url, 'ms', 1_000), slowMsMax);
  await sleep(ms);
  sendJson(response, 200, { ms });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

function numberFrom(url: URL, name: string, fallback: number): number {
  const value = Number(url.searchParams.get(name) ?? fallback);
  return Number.isNaN(value) || value < 0 ? fallback : Math.floor(value);
}

const escape = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

function echoLines(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}

function listen(server: Server, port: string | undefined, what: string): void {
  server.on('error', (error) => {
    console.error(`hello: cannot serve ${what}: ${error.message}`);
    process.exit(1);
  });
  server.listen(
    { port: Number(port ?? 8000), host: process.env['HELLO_HOST'] ?? '127.0.0.1' },
    () => {
      console.log(`hello: serving ${what} on port ${port ?? 8000}`);
    },
  );
}

const web = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    // Whoever went away in the middle of a transfer does not want an answer any more.
    if (!response.destroyed) console.error('hello:', error);
    response.destroy();
  });
});
web.on('upgrade', (request, socket, head) => {
  if (request.url?.split('?')[0] === '/ws') echo(request, socket, head);
  else socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
});
listen(web, process.env['PORT'], 'http');

const tcpNetwork = process.env['HELLO_TCP'];
if (tcpNetwork) {
  const port = process.env[`PORT_${tcpNetwork.toUpperCase()}`];
  listen(createTcpServer({ allowHalfOpen: true }, echoLines), port, 'tcp');
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    console.log(`hello: ending because of ${signal}`);
    // What is under way gets a moment, idle connections none.
    web.close(() => process.exit(0));
    web.closeIdleConnections();
    setTimeout(() => process.exit(0), 500);
  });
}
