import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { forwardPod, socat } from '../../programs/forward.ts';
import { available } from '../../programs/run.ts';
import type { Fixture } from './fixtures.ts';
import { fixtureFolder, fixtures } from './fixtures.ts';
import { readStrictly } from './strict.ts';

/** Every request of llhttp's own tests goes through the gateway: refused, or read in one way only. */

const host = 'raw.pods.localhost';
const all = await available('the llhttp requests', async () => {
  await socat();
  return fixtures(await fixtureFolder(), 'request');
});

/** The input for our host: most of llhttp's name none, which alone would refuse them. */
function forHost(input: string): string {
  return input
    .replaceAll(/^host:[^\r\n]*/gim, `Host: ${host}`)
    .replaceAll(/^(\S+ \S+ HTTP\/1\.1\r\n)((?:(?!\r\n)[^])*)/gm, (message, start: string, from) =>
      /^host:/im.test(String(from).split('\r\n\r\n')[0] ?? '')
        ? message
        : `${start}Host: ${host}\r\n${String(from)}`,
    );
}

/**
 * llhttp knows methods by a list, the gateway by their grammar, because more may be defined
 * (RFC 9110, 9.1): of these only the reading by the letter counts.
 */
const otherMethods = new Set(['request/invalid.md:68', 'request/invalid.md:358']);

describe.skipIf(!all)('the requests of llhttp', () => {
  let podgate: Standalone;
  let pod: Server;
  /** What each connection to the pod carried since the test began. */
  const carried = new Map<Socket, string>();
  let errors: string[] = [];
  let passed = 0;

  beforeAll(async () => {
    pod = createServer((request, response) => {
      request.resume().on('end', () => response.end('seen'));
    });
    pod.on('connection', (socket: Socket) => {
      socket.on('data', (bytes: Buffer) =>
        carried.set(socket, (carried.get(socket) ?? '') + bytes.toString('latin1')),
      );
    });
    // Node's own parser, which is llhttp, reads what the pod gets as well.
    pod.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (error.code?.startsWith('HPE_') && error.code !== 'HPE_INVALID_EOF_STATE') {
        errors.push(error.code);
      }
      socket.destroy();
    });
    pod.listen(0, '127.0.0.1');
    await once(pod, 'listening');
    podgate = await Standalone.start();
    const { port } = pod.address() as AddressInfo;
    await podgate.pod(forwardPod('raw', port, { protocol: 'http' }));
  });
  afterAll(async () => {
    await podgate.stopAndForget();
    pod.close();
  });

  /** Sends the bytes, ends, and waits until the gateway has ended too. */
  async function send(bytes: string): Promise<string> {
    carried.clear();
    errors = [];
    const socket = podgate.connect(host);
    await once(socket, 'secureConnect');
    let answer = '';
    socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
    socket.on('error', () => undefined);
    const closed = once(socket, 'close');
    socket.end(Buffer.from(bytes, 'latin1'));
    await closed;
    return answer;
  }

  /** How many requests the pod got whole; throws when it got another than llhttp sees. */
  function judge(fixture: Fixture, answer: string): number {
    const readings = [...carried.values()].map(readStrictly);
    const seen = readings.flatMap(({ starts }) => starts);
    const requests = seen.length / 2;
    if (otherMethods.has(fixture.name)) return requests;
    expect(errors).toEqual([]);
    expect(requests).toBeLessThanOrEqual(fixture.complete);
    expect(seen).toEqual(fixture.starts.slice(0, seen.length));
    expect(answer.match(/HTTP\/1\.1 200 /g) ?? []).toHaveLength(requests);
    // Bodies can be compared where nothing was left unfinished.
    if (!fixture.refused && requests > 0 && requests === fixture.begun) {
      const bodyBytes = readings.reduce((sum, reading) => sum + reading.bodyBytes, 0);
      expect(bodyBytes).toBe(fixture.bodyBytes);
    }
    return requests;
  }

  test.each(all ?? [])('$name', async (fixture) => {
    passed += judge(fixture, await send(forHost(fixture.input)));
    judge(fixture, await send(fixture.input));
  });

  test('many of them were passed on: a gateway that refuses all would have passed the rest', () => {
    expect(passed).toBeGreaterThan(40);
  });
});
