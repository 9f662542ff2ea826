import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as packet from 'dns-packet';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { DnsRefused, DnsUnavailable } from '../../certs/dns/provider.ts';
import { exchange } from '../../certs/dns/rfc2136/exchange.ts';
import type { Rfc2136Settings } from '../../certs/dns/rfc2136/provider.ts';
import { Rfc2136 } from '../../certs/dns/rfc2136/provider.ts';
import { listening } from '../gateway-examples.ts';
import { eventually } from '../processes.ts';
import { debian } from '../programs/debian.ts';

/** TXT records changed at a BIND 9 of our own, which accepts them with one key only. */

const folder = mkdtempSync(join(tmpdir(), 'podgate-bind-'));
const key = { name: 'podgate-key', secret: randomBytes(32) };
const name = '_acme-challenge.pods.example.test';
let settings: Rfc2136Settings;
let named: ChildProcess;

beforeAll(async () => {
  const program = await debian('/usr/sbin/named', 'bind9');
  const port = await freePort();
  const server = { host: '127.0.0.1', port };
  settings = { server, authoritative: [server], zone: 'example.test', key };
  const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);
  write('zone', '$TTL 60\n@ IN SOA ns hostmaster 1 60 60 600 60\n  IN NS ns\nns IN A 127.0.0.1\n');
  write(
    'named.conf',
    `key "${key.name}" { algorithm hmac-sha256; secret "${key.secret.toString('base64')}"; };
options { directory "${folder}"; pid-file none; session-keyfile none; listen-on-v6 { none; };
  listen-on port ${port} { 127.0.0.1; }; recursion no; dnssec-validation no; };
controls { };
zone "example.test" { type primary; file "${join(folder, 'zone')}";
  update-policy { grant ${key.name} subdomain example.test. TXT; }; };\n`,
  );
  chmodSync(folder, 0o777);
  named = spawn(program, ['-f', '-c', join(folder, 'named.conf'), '-n', '1'], { stdio: 'ignore' });
  await eventually(() =>
    textsAt().then(
      () => true,
      () => false,
    ),
  );
}, 120_000);

afterAll(() => {
  named.kill();
  rmSync(folder, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = net.createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function textsAt(): Promise<string[]> {
  const query = packet.encode({ type: 'query', id: 1, questions: [{ type: 'TXT', name }] });
  const answer = packet.decode(await exchange(query, settings.server, AbortSignal.timeout(5_000)));
  return (answer.answers ?? []).flatMap((record) =>
    record.type === 'TXT' ? [String(record.data)] : [],
  );
}

const ports = { clock: systemClock, random: systemRandom };
const provider = (change: Partial<Rfc2136Settings> = {}): Rfc2136 =>
  new Rfc2136({ ...settings, ...change }, ports);
const soon = (): AbortSignal => AbortSignal.timeout(20_000);

test('records are added beside others, and taken away one by one, however often', async () => {
  await provider().present(name, 'first', soon());
  await provider().present(name, 'first', soon());
  await provider().present(name, 'second', soon());
  expect((await textsAt()).toSorted()).toEqual(['first', 'second']);
  await provider().cleanup(name, 'first', soon());
  await provider().cleanup(name, 'first', soon());
  expect(await textsAt()).toEqual(['second']);
  await provider().cleanup(name, 'second', soon());
  expect(await textsAt()).toEqual([]);
});

test.each([
  ['another secret', { key: { name: key.name, secret: randomBytes(32) } }],
  ['a key that it does not know', { key: { ...key, name: 'nobody' } }],
  ['a zone that is not its own', { zone: 'test' }],
])('%s is refused at once', async (_what, change) => {
  await expect(provider(change).present(name, 'no', soon())).rejects.toThrow(DnsRefused);
  expect(await textsAt()).toEqual([]);
});

test('a name outside the zone is not even asked for', async () => {
  const other = provider().present('_acme-challenge.elsewhere.test', 'no', soon());
  await expect(other).rejects.toThrow('_acme-challenge.elsewhere.test is not in example.test');
});

test('a server that is away is tried again, and done as soon as it is back', async () => {
  const port = await freePort();
  const away = { host: '127.0.0.1', port };
  const change = provider({ server: away }).present(name, 'late', soon());
  const failed = provider({ server: away }).present(name, 'never', AbortSignal.timeout(700));
  await expect(failed).rejects.toThrow(DnsUnavailable);
  // It takes the connections on to the real one.
  const back = net.createServer((socket) => {
    const on = net.connect(settings.server.port, '127.0.0.1');
    for (const each of [socket, on]) each.on('error', () => undefined);
    socket.pipe(on).pipe(socket);
  });
  back.listen(port, '127.0.0.1');
  await change;
  back.close();
  expect(await textsAt()).toEqual(['late']);
  await provider().cleanup(name, 'late', soon());
});

test('present waits for every authoritative server', async () => {
  let asked = 0;
  // A secondary that shows the record only when asked for the third time.
  const lagging = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      asked += 1;
      const { id, questions = [] } = packet.decode(bytes.subarray(2));
      const there = { type: 'TXT' as const, name, data: 'slow' };
      const answers = asked < 3 ? [] : [there];
      socket.end(packet.streamEncode({ type: 'response', id: id ?? 0, questions, answers }));
    });
  });
  const secondary = { host: '127.0.0.1', port: await listening(lagging) };
  const authoritative = [settings.server, secondary];
  await provider({ authoritative }).present(name, 'slow', soon());
  expect(asked).toBe(3);
  lagging.close();
  await provider().cleanup(name, 'slow', soon());
});
