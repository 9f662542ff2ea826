import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Subject } from '../bench.ts';
import { h2loadArguments, parseH2load } from '../load/h2load.ts';
import type { Load } from '../load/load.ts';
import { pathOf } from '../machine/tools.ts';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import { podHost } from '../peers/peer.ts';
import type { Question } from './question.ts';

const h2load =
  (bench: Bench) =>
  async ({ port }: Subject, seconds: number): Promise<Load> => {
    const log = join(bench.folder, 'h2load.log');
    rmSync(log, { force: true });
    const url = `https://${podHost}:${port}/`;
    const argv = h2loadArguments({ url, clients: 8, streams: 16, seconds, log });
    const out = await bench.generate([pathOf('h2load'), ...argv], seconds);
    return parseH2load(out, readFileSync(log, 'utf8'));
  };

export const http2: Question = {
  name: 'h2',
  title: 'HTTP/2, multiplexed',
  about:
    'h2load with 8 connections of 16 streams at once, TLS, answers of 44 bytes; the bare server answers 2 by itself.',
  tools: ['nginx', 'haproxy', 'h2load'],
  async run(bench, rounds = usual.rounds) {
    const upstreamPort = await bench.upstream();
    const subjects = await bench.gateways({ upstreamPort });
    for (const peer of ['nginx', 'haproxy']) {
      subjects.push(await bench.peer(peer, { upstreamPort }));
    }
    subjects.push(await bench.reference('h2'));
    const terms = await negotiated(subjects, ['h2']);
    const rows = await cpuPerUnit(subjects, { ...usual, rounds }, h2load(bench));
    return [
      { id: 'cpu', title: 'Multiplexed', unit: 'CPU µs per request', rows, remarks: [terms] },
    ];
  },
};
