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
    const tail = url.searchParams.get('tailLines');
    const first = tail === null ? start : startOfTail(log.chunks, Number(tail));
    const sinceMs = since ? Date.parse(since) : -Infinity;
    let [sent, skips] = [0, false];
    for await (const chunk of chunksOf(log, first, follow, gone.signal)) {
      if (chunk.startsLine) skips = Date.parse(chunk.at) < sinceMs;
      if (skips) continue;
      const bytes = withTimes(chunk, timed).subarray(0, limit - sent);
      sent += bytes.length;
      if (!response.write(bytes)) await Promise.race([once(response, 'drain'), aborted(gone)]);
      if (sent >= limit || gone.signal.aborted) break;
    }
    response.end();
  }
}

async function* chunksOf(log: ContainerLog, first: Start, follow: boolean, gone: AbortSignal) {
  let offset = first.offset;
  for (let at = first.chunk; !gone.aborted;) {
    const chunk = log.chunks[at];
    if (chunk) {
      at += 1;
      const startsLine = chunk.startsLine || offset > 0;
      yield { ...chunk, startsLine, bytes: chunk.bytes.subarray(offset) };
      offset = 0;
    } else if (follow && !log.ended) await log.changed(gone);
    else return;
  }
}

const aborted = (controller: AbortController): Promise<void> =>
  new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve()));

/** A place in a log where a line begins. */
interface Start {
  readonly chunk: number;
  readonly offset: number;
}

const start: Start = { chunk: 0, offset: 0 };
const newline = 0x0a;

/** Where the last so many lines begin, the last of which may lack its end. */
function startOfTail(chunks: ContainerLog['chunks'], lines: number): Start {
  let left = lines;
  for (let chunk = chunks.length - 1; chunk >= 0 && left > 0; chunk -= 1) {
    const { bytes } = chunks[chunk] ?? { bytes: Buffer.alloc(0) };
    // The newline at the very end ends the last line and begins none.
    const isLast = chunk === chunks.length - 1 && bytes.at(-1) === newline;
    let end = isLast ? bytes.length - 1 : bytes.length;
    for (let at = lastNewline(bytes, end); at !== -1; at = lastNewline(bytes, end)) {
      left -= 1;
      if (left === 0)
        return at + 1 === bytes.length
          ? { chunk: chunk + 1, offset: 0 }
          : { chunk, offset: at + 1 };
      end = at;
    }
  }
  return left === 0 ? { chunk: chunks.length, offset: 0 } : start;
}

const lastNewline = (bytes: Buffer, before: number): number =>
  before === 0 ? -1 : bytes.lastIndexOf(newline, before - 1);

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
