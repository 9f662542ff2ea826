import { randomBytes } from 'node:crypto';
import net from 'node:net';
import * as packet from 'dns-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { DnsRefused, DnsUnavailable } from '../../certs/dns/provider.ts';
import type { Rfc2136Settings } from '../../certs/dns/rfc2136/provider.ts';
import { Rfc2136 } from '../../certs/dns/rfc2136/provider.ts';
import { listening } from '../gateway-examples.ts';
import { Bind, bindProgram } from '../programs/bind.ts';
import { freePort } from '../programs/ports.ts';
import { available } from '../programs/run.ts';

/** TXT records changed at a BIND 9 of our own, which accepts them with one key only. */

const name = '_acme-challenge.pods.example.test';
const program = (await available('TXT records at a BIND 9', bindProgram)) ?? '';
const soon = (): AbortSignal => AbortSignal.timeout(20_000);

describe.skipIf(!program)('TXT records at a BIND 9', () => {
  let bind: Bind;
  beforeAll(async () => void (bind = await Bind.start(program)));
  afterAll(() => bind.stop());
  const textsAt = (): Promise<string[]> => bind.texts(name);

  const ports = { clock: systemClock, random: systemRandom };
  const provider = (change: Partial<Rfc2136Settings> = {}): Rfc2136 =>
    new Rfc2136({ ...bind.settings, ...change }, ports);

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
    ['another secret', () => ({ key: { ...bind.settings.key, secret: randomBytes(32) } })],
    ['a key that it does not know', () => ({ key: { ...bind.settings.key, name: 'nobody' } })],
    ['a zone that is not its own', () => ({ zone: 'test' })],
  ])('%s is refused at once', async (_what, change) => {
    await expect(provider(change()).present(name, 'no', soon())).rejects.toThrow(DnsRefused);
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
      const on = net.connect(bind.settings.server.port, '127.0.0.1');
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
    const authoritative = [bind.settings.server, secondary];
    await provider({ authoritative }).present(name, 'slow', soon());
    expect(asked).toBe(3);
    lagging.close();
    await provider().cleanup(name, 'slow', soon());
  });
});
