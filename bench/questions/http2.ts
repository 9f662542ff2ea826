import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Subject } from '../bench.ts';
import { h2loadArguments, parseH2load } from '../load/h2load.ts';
import type { Load } from '../load/load.ts';
import { pathOf } from '../machine/tools.ts';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import { podHost } from '../peers/peer.ts';
import type { Question } from './question.ts';

const browserFields = [
  'user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'accept-encoding: gzip, deflate, br, zstd',
  'accept-language: en-GB,en;q=0.9',
  'cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark',
  'sec-fetch-mode: navigate',
];
const paths = 1_000;

const h2load =
  (bench: Bench, asBrowsers = false) =>
  async ({ port }: Subject, seconds: number): Promise<Load> => {
    const log = join(bench.folder, 'h2load.log');
    rmSync(log, { force: true });
    const url = `https://${podHost}:${port}/`;
    const options = { url, clients: 8, streams: 16, seconds, log };
    const urls = join(bench.folder, 'h2load.urls');
    const lines = Array.from({ length: paths }, (_, index) => `${url}?page=${index}`);
    if (asBrowsers) writeFileSync(urls, lines.join('\n'));
    const argv = h2loadArguments(
      asBrowsers ? { ...options, urls, fields: browserFields } : options,
    );
    const out = await bench.generate([pathOf('h2load'), ...argv], seconds);
    return parseH2load(out, readFileSync(log, 'utf8'));
  };

export const http2: Question = {
  name: 'h2',
  title: 'HTTP/2, multiplexed',
  about:
    'h2load with 8 connections of 16 streams at once, TLS, answers of 44 bytes; the bare server answers 2 by itself. All requests alike, then with the fields of a browser and 1,000 paths in turn.',
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
    const differing = await cpuPerUnit(subjects, { ...usual, rounds }, h2load(bench, true));
    const unit = 'CPU µs per request';
    return [
      { id: 'cpu', title: 'Multiplexed', unit, rows, remarks: [terms] },
      { id: 'paths', title: 'As browsers ask', unit, rows: differing, remarks: [] },
    ];
  },
};
