import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerLog } from './container.ts';
import { withTimes } from './container.ts';

/** The part of a kubelet that API servers ask for logs: `/containerLogs/namespace/pod/container`. */
export class LogServer {
  readonly #logOf: (pod: string) => ContainerLog | undefined;
  readonly #server: Server;

  constructor(logOf: (pod: string) => ContainerLog | undefined) {
    this.#logOf = logOf;
    this.#server = createServer(selfSigned(), (request, response) => {
      void this.#answer(request, response);
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address() as AddressInfo;
    return address.port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'https://node');
    const [, kind, , pod = ''] = url.pathname.split('/');
    const log = kind === 'containerLogs' ? this.#logOf(pod) : undefined;
    if (!log) return void response.writeHead(404).end('no such container');
    response.writeHead(200, { 'content-type': 'text/plain' });
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const since = url.searchParams.get('sinceTime');
    const follow = url.searchParams.get('follow') === 'true';
    const timed = url.searchParams.get('timestamps') === 'true';
    const limit = Number(url.searchParams.get('limitBytes') ?? Infinity);
    const first = firstChunk(log, since, url.searchParams.get('tailLines'));
    let sent = 0;
    for await (const chunk of chunksOf(log, first, follow, gone.signal)) {
      const bytes = withTimes(chunk, timed).subarray(0, limit - sent);
      sent += bytes.length;
      if (!response.write(bytes)) await Promise.race([once(response, 'drain'), aborted(gone)]);
      if (sent >= limit || gone.signal.aborted) break;
    }
    response.end();
  }
}

async function* chunksOf(log: ContainerLog, first: number, follow: boolean, gone: AbortSignal) {
  for (let at = first; !gone.aborted;) {
    const chunk = log.chunks[at];
    if (chunk) {
      at += 1;
      yield chunk;
    } else if (follow && !log.ended) await log.changed(gone);
    else return;
  }
}

const aborted = (controller: AbortController): Promise<void> =>
  new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve()));

/** Whole chunks only: nearly what a node does, which counts lines. */
function firstChunk(log: ContainerLog, since: string | null, tail: string | null): number {
  let first = 0;
  if (since) {
    const second = since.slice(0, 19);
    while (first < log.chunks.length && (log.chunks[first]?.at ?? '').slice(0, 19) < second)
      first += 1;
  }
  while (first > 0 && !log.chunks[first]?.startsLine && first < log.chunks.length) first -= 1;
  return tail === null ? first : Math.max(first, log.chunks.length - Number(tail));
}

/** Kubelets sign their own certificates, too. */
function selfSigned(): { readonly key: string; readonly cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-kubelet-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const argv = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const out = ['-nodes', '-keyout', key, '-out', cert, '-subj', '/CN=node-1', '-days', '2'];
    execFileSync('openssl', [...argv, ...out], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
