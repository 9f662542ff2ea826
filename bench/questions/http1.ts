import type { Bench, Subject } from '../bench.ts';
import type { Load } from '../load/load.ts';
import { parseWrk, wrkArguments } from '../load/wrk.ts';
import { pathOf } from '../machine/tools.ts';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import { nodePeerVersions } from '../peers/node-peers.ts';
import { podHost } from '../peers/peer.ts';
import type { Question } from './question.ts';

/** wrk on 64 connections that are kept. */
export const wrkLoad =
  (bench: Bench, path: string, headers: readonly string[] = []) =>
  async ({ port }: Subject, seconds: number): Promise<Load> => {
    const url = `https://${podHost}:${port}${path}`;
    const argv = wrkArguments({ url, connections: 64, seconds, headers });
    return parseWrk(await bench.generate([pathOf('wrk'), ...argv], seconds));
  };

const unit = 'CPU µs per request';

export const http1Small: Question = {
  name: 'h1-small',
  title: 'HTTP/1.1, small answers',
  about:
    'wrk with 64 kept connections, TLS, answers of 44 bytes. Everybody adds X-Forwarded-For, -Proto, ' +
    '-Host, -Port and X-Request-ID, and keeps its connections to the pod.',
  tools: ['nginx', 'haproxy', 'caddy', 'wrk'],
  async run(bench, rounds = usual.rounds) {
    const upstreamPort = await bench.upstream();
    const subjects = await bench.gateways({ upstreamPort });
    const peers = ['nginx', 'haproxy', 'caddy', 'http-proxy-3', 'configurable-http-proxy'];
    for (const peer of peers) subjects.push(await bench.peer(peer, { upstreamPort }));
    const terms = await negotiated(subjects, []);
    const rows = await cpuPerUnit(subjects, { ...usual, rounds }, wrkLoad(bench, '/'));
    return [
      { id: 'cpu', title: 'Small answers', unit, rows, remarks: [terms, `${nodePeerVersions()}.`] },
    ];
  },
};

export const http1Large: Question = {
  name: 'h1-100k',
  title: 'HTTP/1.1, answers of 100 KiB',
  about: 'As above with a file of 100 KiB, compression off.',
  tools: ['nginx', 'haproxy', 'wrk'],
  async run(bench, rounds = usual.rounds) {
    const upstreamPort = await bench.upstream({ '100k': Buffer.alloc(100 * 1024, 'x') });
    const subjects = await bench.gateways({ upstreamPort });
    for (const peer of ['nginx', 'haproxy']) {
      subjects.push(await bench.peer(peer, { upstreamPort }));
    }
    const terms = await negotiated(subjects, ['http/1.1']);
    const rows = await cpuPerUnit(subjects, { ...usual, rounds }, wrkLoad(bench, '/100k'));
    return [{ id: 'cpu', title: 'Answers of 100 KiB', unit, rows, remarks: [terms] }];
  },
};
