import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { debian } from './debian.ts';

/** Debian's pebble; installed if need be. */
export const pebbleProgram = (): Promise<string> => debian('/usr/bin/pebble', 'pebble');

const startMs = 20_000;

export interface PebbleTerms {
  readonly ports: { readonly directory: number; readonly management: number };
  /** Where what it validates answers instead of ports 80 and 443. */
  readonly validated?: { readonly http: number; readonly https: number };
  /** `host:port` of who resolves the names; undefined: all hosts count as proven. */
  readonly dns?: string;
  /** Of a hundred good nonces; 50 unless told. */
  readonly noncesRefused?: number;
  /** Each look at a host comes so many seconds late, or less: by chance. */
  readonly lateSeconds?: number;
  /** Accounts are bound to one of these (RFC 8555, 7.3.4): keys in base64url by their id. */
  readonly bindings?: Readonly<Record<string, string>>;
}

/** A real ACME authority of a test's own, which refuses half of all nonces and reuses no proof. */
export class Pebble {
  readonly directoryUrl: string;
  /** PEM: whom to trust as its server. */
  readonly caFile: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #managementUrl: string;
  #log = '';

  private constructor(folder: string, child: ChildProcess, { ports }: PebbleTerms) {
    this.#folder = folder;
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => (this.#log += chunk));
    this.caFile = join(folder, 'cert.pem');
    this.directoryUrl = `https://127.0.0.1:${ports.directory}/dir`;
    this.#managementUrl = `https://127.0.0.1:${ports.management}`;
  }

  static async start(program: string, terms: PebbleTerms): Promise<Pebble> {
    const folder = mkdtempSync(join(tmpdir(), 'podgate-pebble-'));
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const files = ['-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', ...curve, ...files, ...subject], { stdio: 'ignore' });
    const { ports, validated, dns, bindings, lateSeconds, noncesRefused = 50 } = terms;
    const pebble = {
      listenAddress: `127.0.0.1:${ports.directory}`,
      managementListenAddress: `127.0.0.1:${ports.management}`,
      certificate: cert,
      privateKey: key,
      httpPort: validated?.http ?? 80,
      tlsPort: validated?.https ?? 443,
      ocspResponderURL: '',
      externalAccountBindingRequired: bindings !== undefined,
      externalAccountMACKeys: bindings,
    };
    const configuration = join(folder, 'pebble.json');
    writeFileSync(configuration, JSON.stringify({ pebble }));
    const late =
      lateSeconds === undefined
        ? { PEBBLE_VA_NOSLEEP: '1' }
        : { PEBBLE_VA_SLEEPTIME: String(lateSeconds) };
    const nonces = { PEBBLE_WFE_NONCEREJECT: String(noncesRefused) };
    const faults = { ...late, ...nonces, PEBBLE_AUTHZREUSE: '0' };
    const proofs = dns === undefined ? { PEBBLE_VA_ALWAYS_VALID: '1' } : {};
    const resolver = dns === undefined ? [] : ['-dnsserver', dns];
    const child = spawn(program, ['-config', configuration, ...resolver], {
      env: { ...process.env, ...faults, ...proofs },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const started = new Pebble(folder, child, terms);
    await started.#answers();
    return started;
  }

  /** How many it has made, whatever became of them. */
  get orders(): number {
    return Number(
      this.#log
        .match(/There are now (\d+) orders in the db/g)
        ?.at(-1)
        ?.match(/\d+/),
    );
  }

  /** Whether it was told to look at a host. */
  looksAt = (host: string): boolean =>
    this.#log.includes(`Identifier:acme.Identifier{Type:"dns", Value:"${host}"}`);

  /** PEM of the root of what it issues. */
  rootPem(): Promise<string> {
    return this.#get(`${this.#managementUrl}/roots/0`);
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    if (this.#child.kill()) await ended;
    rmSync(this.#folder, { recursive: true });
  }

  async #answers(): Promise<void> {
    const deadlineMs = performance.now() + startMs;
    for (;;) {
      try {
        await this.#get(this.directoryUrl);
        return;
      } catch (error) {
        if (this.#child.exitCode !== null || performance.now() > deadlineMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #get(url: string): Promise<string> {
    const request = https.get(url, { ca: readFileSync(this.caFile, 'utf8'), agent: false });
    const [response] = await once(request, 'response');
    return text(response);
  }
}
