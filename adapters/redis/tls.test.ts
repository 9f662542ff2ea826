import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestRedis } from '../../test/programs/redis-store.ts';
import { redisProgram, RedisServer } from '../../test/programs/redis.ts';
import { available } from '../../test/programs/run.ts';

const program = (await available('Redis over TLS', redisProgram)) ?? '';

describe.skipIf(!program)('a real Redis over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-redis-tls-'));
  let server: RedisServer;
  let url = '';

  /** A certificate that is its own authority. */
  function certificate(name: string): { readonly cert: string; readonly key: string } {
    const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    const made = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1';
    const named = `-subj /CN=${name} -addext subjectAltName=IP:127.0.0.1 -out ${cert} -keyout ${key}`;
    execFileSync('openssl', `${made} ${named}`.split(' '), { stdio: 'pipe' });
    return { cert, key };
  }

  beforeAll(async () => {
    const { cert, key } = certificate('redis');
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
    const ports = ['--port', '0', '--tls-port', '$(PORT)', '--tls-auth-clients', 'no'];
    server = await RedisServer.start(program, ...ports, ...files, '--requirepass', 'se/cr@et');
    url = `rediss://:se%2Fcr%40et@127.0.0.1:${server.port}`;
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  test('with its authority it is read, written and watched', async () => {
    const redis = await openTestRedis(url, { ca: readFileSync(join(folder, 'redis.pem'), 'utf8') });
    const abort = new AbortController();
    const changes = redis.store.watch('pods', abort.signal)[Symbol.asyncIterator]();
    const version = await redis.store.put('pods', { id: 'a', value: 'sealed' }, 'absent');
    expect(await changes.next()).toEqual({ done: false, value: { id: 'a', version } });
    expect(await redis.store.list('pods')).toHaveLength(1);
    abort.abort();
    redis.close();
  });

  test.each([
    ['the authorities of the machine', () => undefined],
    ['another authority', () => readFileSync(certificate('other').cert, 'utf8')],
  ])('with %s nothing is sent, and the reason is told', async (_, authority) => {
    const ca = authority();
    const opening = openTestRedis(url, { callMs: 500, ...(ca === undefined ? {} : { ca }) });
    await expect(opening).rejects.toThrow(/self-signed certificate/);
  });
});
