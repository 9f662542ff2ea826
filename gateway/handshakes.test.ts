import type tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sessionTickets, ticketKeyId } from './ticket-key.ts';
import { eventually, GatewayProcesses } from '../test/processes.ts';

/** TLS as clients meet it: over real sockets, at two worker processes. */

let edge: GatewayProcesses;

beforeAll(async () => {
  edge = await GatewayProcesses.start(['a', 'b', 'changed']);
}, 30_000);
afterAll(() => edge.stop());

const at = (version: tls.SecureVersion): tls.ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
});

describe('versions, ciphers and groups', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken', async (version) => {
    const client = await edge.dial('a', at(version));
    expect(client.getProtocol()).toBe(version);
    await edge.ask(client);
  });

  test.each(['TLSv1', 'TLSv1.1'] as const)(
    '%s is refused with the alert protocol_version',
    async (version) => {
      // OpenSSL has them below its usual level only.
      const old = edge.dial('a', { ...at(version), ciphers: 'DEFAULT@SECLEVEL=0' });
      await expect(old).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
    },
  );

  test.each(['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'])(
    'TLS 1.2 with ECDHE-ECDSA-%s is spoken',
    async (name) => {
      const ciphers = `ECDHE-ECDSA-${name}`;
      const client = await edge.dial('a', { ...at('TLSv1.2'), ciphers });
      expect(client.getCipher().name).toBe(ciphers);
    },
  );

  test.each([
    ['without authenticated encryption', 'ECDHE-ECDSA-AES128-SHA256'],
    ['without forward secrecy', 'AES128-GCM-SHA256'],
    ['without either', 'AES256-SHA'],
  ])('TLS 1.2 %s is refused with the alert handshake_failure', async (_name, ciphers) => {
    await expect(edge.dial('a', { ...at('TLSv1.2'), ciphers })).rejects.toMatchObject({
      code: 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    });
  });

  test.each(['X25519MLKEM768', 'X25519', 'P-256'])(
    'a client that offers the group %s alone is served',
    async (ecdhCurve) => {
      const client = await edge.dial('a', { ...at('TLSv1.3'), ecdhCurve });
      await edge.ask(client);
    },
  );
});

/** Visits until both workers have been met; whether each visit was resumed, and by whom. */
async function visits(
  pod: string,
  options: tls.ConnectionOptions,
): Promise<Map<string, Set<boolean>>> {
  const met = new Map<string, Set<boolean>>();
  await eventually(async () => {
    const client = await edge.dial(pod, options);
    const worker = await edge.ask(client);
    const seen = met.get(worker) ?? new Set();
    met.set(worker, seen.add(client.isSessionReused()));
    client.destroy();
    return met.size === 2;
  });
  return met;
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', (version) => {
  test('a session goes on at both worker processes, and at no other host', async () => {
    const first = await edge.dial('a', at(version));
    let session: Buffer | undefined = first.getSession();
    first.on('session', (newer: Buffer) => (session = newer));
    await edge.ask(first);
    if (!session) throw new Error('no session');
    const again = { ...at(version), session };
    const same = await visits('a', again);
    expect([...same.values()]).toEqual([new Set([true]), new Set([true])]);
    const other = await visits('b', again);
    expect([...other.values()]).toEqual([new Set([false]), new Set([false])]);
  });
});

test('a session goes on at another gateway, and under another master no more', async () => {
  const beside = await GatewayProcesses.start(['a', 'b'], edge);
  try {
    const begun = await sessionOf(edge, 'a');
    await eventually(() => resumes(beside, 'a', begun));
    expect(await resumes(beside, 'b', begun)).toBe(false);
    const tickets = sessionTickets(edge.store);
    const now = await tickets.get(ticketKeyId);
    if (!now) throw new Error('no master is stored');
    await tickets.put(ticketKeyId, { ...now.value, sinceMs: 0 }, { version: now.version });
    // The change makes one of them find it too old; both take over what that one writes.
    await eventually(async () => !(await resumes(beside, 'a', begun)));
    await eventually(async () => !(await resumes(edge, 'a', begun)));
    await eventually(async () => resumes(beside, 'a', await sessionOf(edge, 'a')));
  } finally {
    await beside.stop();
  }
}, 30_000);

async function sessionOf(gateway: GatewayProcesses, pod: string): Promise<Buffer> {
  const client = await gateway.dial(pod, at('TLSv1.2'));
  const session = client.getSession();
  client.destroy();
  if (!session) throw new Error('no session');
  return session;
}

async function resumes(gateway: GatewayProcesses, pod: string, session: Buffer): Promise<boolean> {
  const client = await gateway.dial(pod, { ...at('TLSv1.2'), session });
  const resumed = client.isSessionReused();
  client.destroy();
  return resumed;
}

const shown = (client: tls.TLSSocket): string => client.getPeerCertificate().fingerprint256;

test('a certificate that changes under load is shown to the next, and drops nobody', async () => {
  const before = await edge.certify('changed');
  await eventually(async () => shown(await edge.dial('changed')) === before);

  const stop = new AbortController();
  const answers = { staying: 0, coming: 0 };
  const shownBy = new Map<string, string>();
  const staying = Array.from({ length: 8 }, async () => {
    const client = await edge.dial('changed');
    while (!stop.signal.aborted) {
      await edge.ask(client);
      answers.staying += 1;
    }
    return shown(client);
  });
  const coming = Array.from({ length: 8 }, async () => {
    while (!stop.signal.aborted) {
      const client = await edge.dial('changed');
      shownBy.set(await edge.ask(client), shown(client));
      client.destroy();
      answers.coming += 1;
    }
  });
  const load = Promise.all([...staying, ...coming]);
  /** Both kinds go on: what fails ends the wait. */
  const goesOn = async (): Promise<void> => {
    const from = { ...answers };
    const more = eventually(
      () => answers.staying > from.staying + 100 && answers.coming > from.coming + 50,
    );
    await Promise.race([more, load]);
  };
  const allShow = (fingerprint: string): boolean =>
    shownBy.size === 2 && [...shownBy.values()].every((one) => one === fingerprint);
  await goesOn();
  expect(allShow(before)).toBe(true);
  const after = await edge.certify('changed');
  const storedMs = performance.now();
  await Promise.race([eventually(() => allShow(after)), load]);
  expect(performance.now() - storedMs).toBeLessThan(1_000);
  for (let turn = 0; turn < 20; turn += 1) expect(shown(await edge.dial('changed'))).toBe(after);
  await goesOn();
  stop.abort();
  // A connection keeps what it began with.
  expect((await load).slice(0, 8)).toEqual(staying.map(() => before));
}, 30_000);
