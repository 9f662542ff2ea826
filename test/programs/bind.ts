import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as packet from 'dns-packet';
import { exchange } from '../../certs/dns/rfc2136/exchange.ts';
import type { Rfc2136Settings } from '../../certs/dns/rfc2136/provider.ts';
import { eventually } from '../processes.ts';
import { debian } from './debian.ts';
import { freePort } from './ports.ts';

/** Debian's BIND 9; installed if need be. */
export const bindProgram = (): Promise<string> => debian('/usr/sbin/named', 'bind9');

/**
 * A BIND 9 of a test's own, with the zone `example.test`: the domain and every pod's host are
 * 127.0.0.1, and who has the key may change TXT records.
 */
export class Bind {
  readonly settings: Rfc2136Settings;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess, settings: Rfc2136Settings) {
    this.#folder = folder;
    this.#child = child;
    this.settings = settings;
  }

  /** What has Podgate prove wildcards here. */
  get environment(): NodeJS.ProcessEnv {
    const { server, zone, key } = this.settings;
    return {
      PODGATE_DNS_PROVIDER: 'rfc2136',
      PODGATE_DNS_RFC2136_SERVER: `${server.host}:${server.port}`,
      PODGATE_DNS_RFC2136_ZONE: zone,
      PODGATE_DNS_RFC2136_KEY_NAME: key.name,
      PODGATE_DNS_RFC2136_KEY_SECRET: key.secret.toString('base64'),
    };
  }

  static async start(program: string): Promise<Bind> {
    const folder = mkdtempSync(join(tmpdir(), 'podgate-bind-'));
    const key = { name: 'podgate-key', secret: randomBytes(32) };
    const server = { host: '127.0.0.1', port: await freePort() };
    const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);
    write(
      'zone',
      `$TTL 60
@ IN SOA ns hostmaster 1 60 60 600 60
  IN NS ns
  IN A 127.0.0.1
ns IN A 127.0.0.1
*.pods IN A 127.0.0.1
pods IN A 127.0.0.1
`,
    );
    write(
      'named.conf',
      `key "${key.name}" { algorithm hmac-sha256; secret "${key.secret.toString('base64')}"; };
options { directory "${folder}"; pid-file none; session-keyfile none; listen-on-v6 { none; };
  listen-on port ${server.port} { 127.0.0.1; }; recursion no; dnssec-validation no; };
controls { };
zone "example.test" { type primary; file "${join(folder, 'zone')}";
  update-policy { grant ${key.name} subdomain example.test. TXT; }; };\n`,
    );
    chmodSync(folder, 0o777);
    const child = spawn(program, ['-f', '-c', join(folder, 'named.conf'), '-n', '1'], {
      stdio: 'ignore',
    });
    const settings = { server, authoritative: [server], zone: 'example.test', key };
    const bind = new Bind(folder, child, settings);
    await eventually(() =>
      bind.texts('example.test').then(
        () => true,
        () => false,
      ),
    );
    return bind;
  }

  /** The TXT records at a name. */
  async texts(name: string): Promise<string[]> {
    const query = packet.encode({ type: 'query', id: 1, questions: [{ type: 'TXT', name }] });
    const signal = AbortSignal.timeout(5_000);
    const answer = packet.decode(await exchange(query, this.settings.server, signal));
    return (answer.answers ?? []).flatMap((record) =>
      record.type === 'TXT' ? [String(record.data)] : [],
    );
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    if (this.#child.kill()) await ended;
    rmSync(this.#folder, { recursive: true });
  }
}
