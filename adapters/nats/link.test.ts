import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { NatsServer, natsProgram } from '../../test/programs/nats.ts';
import { available } from '../../test/programs/run.ts';
import { parseNatsUrl } from './address.ts';
import type { NatsSettings } from './link.ts';
import { NatsLink } from './link.ts';

const program = (await available('NATS over TLS and with credentials', natsProgram)) ?? '';
const soon = { timeout: 20_000, interval: 20 };

describe.skipIf(!program)('a link to a real NATS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-nats-link-'));
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function serve(configuration: string): Promise<NatsServer> {
    const server = await NatsServer.start(program, configuration);
    ends.push(() => server.stop());
    return server;
  }

  function linkTo(url: string, change: Partial<NatsSettings> = {}) {
    const said: unknown[] = [];
    const say = (...words: readonly unknown[]): void => void said.push(words);
    const log = { debug: say, info: say, warn: say, error: say };
    const own = { creds: undefined, ca: undefined, replicas: 1, name: 'test', ...change };
    const link = new NatsLink({ address: parseNatsUrl(url), ...own }, { clock: systemClock, log });
    ends.push(() => link.close());
    return { link, said };
  }

  /** A certificate that is its own authority. */
  function certificate(name: string): { readonly cert: string; readonly key: string } {
    const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    const made = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1';
    const named = `-subj /CN=${name} -addext subjectAltName=DNS:localhost -out ${cert} -keyout ${key}`;
    execFileSync('openssl', `${made} ${named}`.split(' '), { stdio: 'pipe' });
    return { cert, key };
  }

  test('it waits for a server that is not there yet, and says so', async () => {
    const server = await serve('');
    await server.kill();
    const { link } = linkTo(server.url);
    await vi.waitFor(() => expect(link.problem()).toMatch(/^NATS cannot be reached: /), soon);
    expect(link.connection).toBeUndefined();
    await server.start();
    await link.connected();
    expect(link.problem()).toBeUndefined();
  });

  test('over TLS with its authority, and with no other', async () => {
    const { cert, key } = certificate('server');
    const server = await serve(`tls { cert_file: "${cert}", key_file: "${key}" }`);
    const url = `tls://localhost:${server.port}`;
    const { link } = linkTo(url, { ca: readFileSync(cert, 'utf8') });
    await link.connected();
    const other = linkTo(url, { ca: readFileSync(certificate('other').cert, 'utf8') });
    await vi.waitFor(() => expect(other.link.problem()).toMatch(/certificate/), soon);
    expect(other.link.connection).toBeUndefined();
  });

  test('with a user and password, which no word of it repeats', async () => {
    const server = await serve('authorization { user: podgate, password: "ge/heim" }');
    const { link } = linkTo(server.url.replace('//', '//podgate:ge%2Fheim@'));
    await link.connected();
    const wrong = linkTo(server.url.replace('//', '//podgate:falsch@'));
    await vi.waitFor(() => expect(wrong.link.problem()).toMatch(/authorization/i), soon);
    expect(JSON.stringify([wrong.link.problem(), wrong.said])).not.toContain('falsch');
  });

  test('with a credentials file, which another operator’s does not replace', async () => {
    const [own, other] = [authority(), authority()];
    const server = await serve(own.configuration);
    await linkTo(server.url, { creds: own.creds }).link.connected();
    const stranger = linkTo(server.url, { creds: other.creds }).link;
    await vi.waitFor(() => expect(stranger.problem()).toMatch(/authorization/i), soon);
  });
});

/** An operator with an account and a user of it, as `nsc` makes them. */
function authority() {
  const [operator, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ];
  const operatorJwt = token(operator, operator.getPublicKey(), { type: 'operator', version: 2 });
  const limits = { subs: -1, data: -1, payload: -1, conn: -1, leaf: -1, imports: -1, exports: -1 };
  const accountJwt = token(operator, account.getPublicKey(), {
    type: 'account',
    version: 2,
    limits: { ...limits, wildcards: true },
  });
  const userJwt = token(account, user.getPublicKey(), {
    type: 'user',
    version: 2,
    subs: -1,
    data: -1,
    payload: -1,
  });
  const system = nkeys.createAccount();
  const systemJwt = token(operator, system.getPublicKey(), { type: 'account', version: 2, limits });
  const configuration = `operator: ${operatorJwt}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
  ${account.getPublicKey()}: ${accountJwt}
  ${system.getPublicKey()}: ${systemJwt}
}`;
  const seed = new TextDecoder().decode(user.getSeed());
  const creds = block('NATS USER JWT', userJwt) + block('USER NKEY SEED', seed);
  return { configuration, creds };
}

function token(issuer: nkeys.KeyPair, subject: string, nats: object): string {
  const claims = { jti: subject, iat: 1_700_000_000, iss: issuer.getPublicKey(), sub: subject };
  const signed = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part({ ...claims, nats })}`;
  const signature = Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url');
  return `${signed}.${signature}`;
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const block = (name: string, text: string): string =>
  `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n`;
