import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Rfc2136 } from './provider.ts';

const servfail = 2;
const refused = 5;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server that answers every change with this code and does not sign; how often it was asked. */
async function unsigned(code: number) {
  let asked = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => {
      asked += 1;
      const header = Buffer.alloc(14);
      header.writeUInt16BE(12, 0);
      header.set(Buffer.from(bytes).subarray(2, 4), 2);
      header.writeUInt16BE(0xa800 | code, 4);
      socket.end(header);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const address = { host: '127.0.0.1', port };
  const clock = new ManualClock();
  const dns = new Rfc2136(
    {
      server: address,
      authoritative: [address],
      zone: 'example.org',
      key: { name: 'podgate', secret: Buffer.alloc(32, 1) },
    },
    { clock, random: { bytes: (size) => Buffer.alloc(size, 7), fraction: () => 0 } },
  );
  return { dns, clock, asked: () => asked };
}

test('a server that fails before it comes to signing is asked again, until there is no more time', async () => {
  const { dns, clock, asked } = await unsigned(servfail);
  const abort = new AbortController();
  const ended = dns
    .present('_acme-challenge.example.org', 'x', abort.signal)
    .catch((error: unknown) => error);
  while (asked() < 3) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await clock.advance(1000);
  }
  abort.abort();
  expect(await ended).toMatchObject({
    name: 'DnsUnavailable',
    message: expect.stringContaining('SERVFAIL'),
  });
});

test('any other answer that is not signed is final', async () => {
  const { dns, asked } = await unsigned(refused);
  await expect(
    dns.present('_acme-challenge.example.org', 'x', new AbortController().signal),
  ).rejects.toMatchObject({
    name: 'DnsRefused',
    message: expect.stringContaining('the answer is not signed'),
  });
  expect(asked()).toBe(1);
});
