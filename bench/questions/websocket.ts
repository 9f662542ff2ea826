import type { Subject } from '../bench.ts';
import type { Load } from '../load/load.ts';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import type { Question } from './question.ts';

const connections = 64;

export const webSocket: Question = {
  name: 'websocket',
  title: 'WebSocket echo',
  about:
    '64 WebSockets over TLS, each with one message of 64 bytes under way. A unit is a message there and ' +
    'its echo back. Client and pod are small programs in Node.',
  tools: ['nginx', 'haproxy'],
  async run(bench, rounds = usual.rounds) {
    const upstreamPort = await bench.pod('echo.ts');
    const subjects = await bench.gateways({ upstreamPort });
    for (const peer of ['nginx', 'haproxy']) {
      subjects.push(await bench.peer(peer, { upstreamPort }));
    }
    const terms = await negotiated(subjects, []);
    const load = async ({ port }: Subject, seconds: number): Promise<Load> =>
      JSON.parse(await bench.client('websocket.ts', seconds, [port, seconds, connections]));
    const rows = await cpuPerUnit(subjects, { ...usual, rounds }, load);
    return [{ id: 'cpu', title: 'Echo', unit: 'CPU µs per echo', rows, remarks: [terms] }];
  },
};
