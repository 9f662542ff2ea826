import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { until } from '../../integration/standalone.ts';
import { debian } from '../../programs/debian.ts';
import { run } from '../../programs/run.ts';

/** Debian's Chromium without a window, by its DevTools protocol. It trusts one authority more. */

type Json = Record<string, unknown>;

export async function chromium(): Promise<string> {
  await debian('/usr/bin/certutil', 'libnss3-tools');
  return debian('/usr/bin/chromium', 'chromium');
}

const quiet = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Where Chromium looks for authorities of a user's own. */
async function prepareTrust(database: string, caFile: string | undefined): Promise<void> {
  mkdirSync(database, { recursive: true });
  const certutil = async (...argv: string[]): Promise<void> => {
    const { code, err } = await run(['/usr/bin/certutil', '-d', `sql:${database}`, ...argv]);
    if (code !== 0) throw new Error(`certutil: ${err}`);
  };
  await certutil('-N', '--empty-password');
  if (caFile !== undefined) await certutil('-A', '-n', 'podgate', '-t', 'C,,', '-i', caFile);
}

export class Browser {
  /** What happened in the page: the protocol's events, in order. */
  readonly events: { readonly method: string; readonly params: Json }[] = [];
  readonly #process: ChildProcess;
  readonly #socket: WebSocket;
  readonly #calls = new Map<number, PromiseWithResolvers<Json>>();
  #session: string | undefined;
  #last = 0;

  private constructor(process: ChildProcess, socket: WebSocket) {
    this.#process = process;
    this.#socket = socket;
    socket.on('message', (data: Buffer) => this.#received(JSON.parse(data.toString()) as Json));
  }

  /** Starts a browser whose home is `folder`, with one empty page; it trusts `caFile`, if given. */
  static async start(
    program: string,
    folder: string,
    { caFile, switches = [] }: { caFile?: string | undefined; switches?: readonly string[] } = {},
  ): Promise<Browser> {
    await prepareTrust(join(folder, '.pki', 'nssdb'), caFile);
    const profile = `--user-data-dir=${join(folder, 'profile')}`;
    const argv = [...quiet, ...switches, profile, '--remote-debugging-port=0'];
    const child = spawn(program, argv, {
      env: { PATH: process.env['PATH'], HOME: folder },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for await (const line of createInterface({ input: child.stderr })) {
      const address = /^DevTools listening on (ws:\S+)/.exec(line)?.[1];
      if (address === undefined) continue;
      child.stderr.resume();
      const socket = new WebSocket(address);
      await once(socket, 'open');
      const browser = new Browser(child, socket);
      await browser.#attach();
      return browser;
    }
    throw new Error('chromium ended before it listened');
  }

  async #attach(): Promise<void> {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' });
    const attached = await this.call('Target.attachToTarget', { targetId, flatten: true });
    this.#session = attached['sessionId'] as string;
    await this.call('Network.enable');
    await this.call('Page.enable');
  }

  call(method: string, params: Json = {}): Promise<Json> {
    this.#last += 1;
    const waiting = Promise.withResolvers<Json>();
    this.#calls.set(this.#last, waiting);
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    this.#socket.send(JSON.stringify({ id: this.#last, method, params, ...session }));
    return waiting.promise;
  }

  #received(message: Json): void {
    const { id, method, error } = message;
    if (typeof method === 'string') {
      this.events.push({ method, params: message['params'] as Json });
      return;
    }
    const waiting = this.#calls.get(Number(id));
    if (error) waiting?.reject(new Error(JSON.stringify(error)));
    else waiting?.resolve(message['result'] as Json);
  }

  /** Opens an address; the error that a person would see there, such as `net::ERR_CERT_…`. */
  async open(url: string): Promise<string | undefined> {
    const before = this.events.length;
    const { errorText } = await this.call('Page.navigate', { url });
    if (typeof errorText === 'string') return errorText;
    const loaded = () =>
      this.events.slice(before).some(({ method }) => method === 'Page.loadEventFired');
    await until(loaded, () => `${url} to be loaded`);
    return undefined;
  }

  /** The value of a JavaScript expression in the page, awaited there. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', options);
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return (result as Json)['value'];
  }

  async close(): Promise<void> {
    this.#session = undefined;
    const closed = once(this.#process, 'close');
    // The answer may be lost with the connection.
    this.call('Browser.close').catch(() => undefined);
    await closed;
  }
}
