import { once } from 'node:events';
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { forwardPod, socat } from '../../programs/forward.ts';
import { available } from '../../programs/run.ts';
import type { Fixture } from './fixtures.ts';
import { fixtureFolder, fixtures } from './fixtures.ts';

/**
 * A pod answers with every response of llhttp's own tests. What llhttp refuses must not look like a
 * whole answer to the client, and no byte of one answer may get into the next.
 */

const host = 'raw.pods.localhost';
const all = await available('the llhttp responses', async () => {
  await socat();
  return fixtures(await fixtureFolder(), 'response');
});

interface Answer {
  readonly status: number;
  readonly whole: boolean;
  readonly body: string;
}

describe.skipIf(!all)('the responses of llhttp', () => {
  const probe = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nprobe';
  let podgate: Standalone;
  let pod: Server;
  let response = '';
  let passed = 0;

  beforeAll(async () => {
    pod = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (request: Buffer) => {
        // The fixture and then the end, as a parser that reads to the end of input sees it.
        if (request.includes('GET /fixture')) socket.end(Buffer.from(response, 'latin1'));
        else socket.write(probe);
      });
    });
    pod.listen(0, '127.0.0.1');
    await once(pod, 'listening');
    podgate = await Standalone.start();
    await podgate.pod(forwardPod('raw', (pod.address() as AddressInfo).port, { protocol: 'http' }));
  });
  afterAll(async () => {
    await podgate.stopAndForget();
    pod.close();
  });

  /** Asks by Node's own client, which is llhttp at its strictest. */
  async function ask(agent: https.Agent, path: string): Promise<Answer> {
    const target = { host: '127.0.0.1', port: podgate.ports.https, servername: host };
    const request = https.get({ ...target, ca: podgate.ca, agent, path, headers: { host } });
    let message: IncomingMessage;
    try {
      [message] = (await once(request, 'response')) as [IncomingMessage];
    } catch {
      return { status: 0, whole: false, body: '' };
    }
    let body = '';
    message.setEncoding('latin1');
    try {
      for await (const chunk of message) body += String(chunk);
    } catch {
      // Cut off: `complete` says so.
    }
    return { status: message.statusCode ?? 0, whole: message.complete, body };
  }

  function judge(fixture: Fixture, { status, whole, body }: Answer): void {
    if (!whole || status === 502) return;
    passed += 1;
    const { refused, begun, complete, bodyBytes } = fixture;
    if (refused) expect(complete).toBeGreaterThan(0);
    else if (begun === 1) expect(body).toHaveLength(bodyBytes);
  }

  test.each(all ?? [])('$name', async (fixture) => {
    response = fixture.input;
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    try {
      judge(fixture, await ask(agent, '/fixture'));
      expect(await ask(agent, '/probe')).toEqual({ status: 200, whole: true, body: 'probe' });
    } finally {
      agent.destroy();
    }
  });

  test('many of them were passed on: a gateway that refuses all would have passed the rest', () => {
    expect(passed).toBeGreaterThan(20);
  });
});
