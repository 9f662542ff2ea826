import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { Standalone } from '../../integration/standalone.ts';
import { forwardPod, socat } from '../../programs/forward.ts';
import { withHosts } from '../../programs/hosts.ts';
import { available, run } from '../../programs/run.ts';
import { keepResult } from '../known.ts';
import { python2 } from './python2.ts';

/**
 * Autobahn's fuzzing client looks at an echo server twice, straight and through the gateway: whatever
 * it holds against the server, the gateway changes nothing about it.
 */

const host = 'echo.pods.localhost';
const groups = ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '10.*'];
const program = `
import sys
from autobahntestsuite.wstest import run
sys.argv = ['wstest', '-m', 'fuzzingclient', '-s', 'spec.json']
run()
`;

const needed = await available('the Autobahn suite', async () => ({
  socat: await socat(),
  python: await python2(join(import.meta.dirname, 'requirements.txt')),
  resolving: await withHosts(host),
}));

interface Verdict {
  readonly behavior: string;
  readonly behaviorClose: string;
}

type Verdicts = Readonly<Record<string, Verdict>>;

describe.skipIf(!needed)('the Autobahn suite', () => {
  const echo = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  // The client speaks no TLS with server names: this does it for it.
  const tlsForIt = createServer((plain) => {
    const secure = podgate.connect(host);
    const ended = () => plain.destroy();
    pipeline(plain, secure, plain).then(ended, ended);
  });
  let podgate: Standalone;
  let report: Readonly<Record<'direct' | 'gateway', Verdicts>>;

  beforeAll(async () => {
    echo.on('connection', (socket) => {
      socket.on('message', (data, binary) => socket.send(data, { binary }));
      socket.on('error', () => undefined);
    });
    tlsForIt.listen(0, '127.0.0.1');
    await once(tlsForIt, 'listening');
    podgate = await Standalone.start();
    const echoPort = (echo.address() as AddressInfo).port;
    await podgate.pod(forwardPod('echo', echoPort, { protocol: 'http' }));
    const folder = join(dirname(podgate.dataDir), 'autobahn');
    mkdirSync(folder);
    const port = (tlsForIt.address() as AddressInfo).port;
    const servers = [
      { agent: 'direct', url: `ws://127.0.0.1:${echoPort}` },
      { agent: 'gateway', url: `ws://${host}:${port}` },
    ];
    const spec = { outdir: './out', servers, cases: groups };
    const nothing = { 'exclude-cases': [], 'exclude-agent-cases': {} };
    writeFileSync(join(folder, 'spec.json'), JSON.stringify({ ...spec, ...nothing }));
    const { argv = [], env = {} } = needed?.python ?? {};
    const command = [...(needed?.resolving ?? []), ...argv, '-c', program];
    const { code, err } = await run(command, { env, cwd: folder, timeoutMs: 240_000 });
    expect(code, err).toBe(0);
    report = JSON.parse(readFileSync(join(folder, 'out', 'index.json'), 'utf8'));
  });
  afterAll(async () => {
    await podgate.stopAndForget();
    tlsForIt.close();
    echo.close();
  });

  const verdicts = (agent: 'direct' | 'gateway') =>
    Object.entries(report[agent]).map(
      ([name, { behavior, behaviorClose }]) => `${name} ${behavior} ${behaviorClose}`,
    );

  test('verdicts through the gateway are those of the direct run', async () => {
    const [direct, gateway] = [verdicts('direct'), verdicts('gateway')];
    expect(direct).toHaveLength(247);
    expect(gateway.toSorted()).toEqual(direct.toSorted());
    expect(gateway.filter((line) => line.includes(' OK '))).toHaveLength(240);
    const lines = [
      'Groups 1 to 7 and 10, 247 cases: the verdicts through the gateway are those of the direct run.',
      'The server behind it is `ws` of npm: 240 OK, 4 NON-STRICT, 3 INFORMATIONAL.',
    ];
    await keepResult('autobahn', ['# Autobahn|Testsuite 0.8.2', '', ...lines]);
  });
});
