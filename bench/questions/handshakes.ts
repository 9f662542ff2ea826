import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Subject } from '../bench.ts';
import type { Load } from '../load/load.ts';
import { parseWrk, wrkArguments } from '../load/wrk.ts';
import { pathOf } from '../machine/tools.ts';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import { podHost } from '../peers/peer.ts';
import type { Table } from '../results.ts';
import type { Question } from './question.ts';

interface ClientOptions {
  readonly folder: string;
  readonly port: number;
  readonly target: number;
  readonly resumed: boolean;
  /** The name that it connects to; by default that which it is asked for. */
  readonly host?: string;
}

/**
 * HAProxy as a client: takes requests in the clear and asks each on a connection of its own. An answer
 * of a connection that was not resumed as it should be, or was although it should not, becomes a 500.
 */
export function client({ folder, port, target, resumed, host }: ClientOptions): readonly string[] {
  const file = join(folder, `client-${target}.cfg`);
  const wrong = resumed ? '!{ ssl_bc_is_resumed }' : '{ ssl_bc_is_resumed }';
  const name = host === undefined ? 'req.hdr(host)' : `str(${host})`;
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 1000
  ssl-server-verify none
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option http-server-close
frontend plain
  bind 127.0.0.1:${port}
  default_backend target
backend target
  http-reuse never
  ${host === undefined ? '' : `http-request set-header Host ${host}`}
  http-response set-status 500 if ${wrong}
  server target 127.0.0.1:${target} ssl sni ${name}${resumed ? '' : ' no-ssl-reuse'}
`,
  );
  return [pathOf('haproxy'), '-db', '-f', file];
}

async function handshakes(bench: Bench, resumed: boolean, rounds: number): Promise<Table> {
  const upstreamPort = await bench.upstream();
  // From one address come as many as the gateway takes from a balancer only.
  const terms = { trustedProxies: ['127.0.0.1'] };
  const subjects = await bench.gateways({ upstreamPort, terms });
  for (const peer of ['nginx', 'haproxy', 'caddy']) {
    subjects.push(await bench.peer(peer, { upstreamPort }));
  }
  const clients = new Map<Subject, number>();
  for (const subject of subjects) {
    const argv = (port: number): readonly string[] =>
      client({ folder: bench.folder, port, target: subject.port, resumed, host: podHost });
    clients.set(subject, await bench.beside(`client-${subject.name}`, argv));
  }
  const load = async (subject: Subject, seconds: number): Promise<Load> => {
    const url = `http://127.0.0.1:${clients.get(subject) ?? 0}/`;
    const argv = wrkArguments({ url, connections: 32, seconds });
    const result = parseWrk(await bench.generate([pathOf('wrk'), ...argv], seconds));
    // Who comes first has nothing to resume: one each.
    return { ...result, errors: Math.max(0, result.errors - 32) };
  };
  const remarks = [await negotiated(subjects, [])];
  const rows = await cpuPerUnit(subjects, { ...usual, rounds }, load);
  const unit = 'CPU µs per connection with one request';
  return { id: 'cpu', title: resumed ? 'Resumed' : 'Full', unit, rows, remarks };
}

/** The gateway's CPU for a name that nobody has, beside that for one which it serves. */
async function unknownNames(bench: Bench, rounds: number): Promise<Table> {
  const upstreamPort = await bench.upstream();
  const terms = { trustedProxies: ['127.0.0.1'] };
  const gateways = await bench.gateways({ upstreamPort, terms });
  const subjects = gateways.flatMap((gateway) => [
    { ...gateway, name: `${gateway.name}, unknown name` },
    { ...gateway, name: `${gateway.name}, served` },
  ]);
  const load = async ({ name, port }: Subject, seconds: number): Promise<Load> => {
    const program = name.endsWith(', served') ? 'full-handshakes.ts' : 'unknown-names.ts';
    return JSON.parse(await bench.client(program, seconds, [port, seconds]));
  };
  const rows = await cpuPerUnit(subjects, { ...usual, rounds }, load);
  const unit = 'CPU µs per connection';
  return { id: 'cpu', title: 'Refused beside served', unit, rows, remarks: [] };
}

const how =
  'HAProxy on the load’s core is the client, driven by wrk in the clear: 32 at a time, each request on ' +
  'a TLS connection of its own. It verifies that ';

export const handshakesFull: Question = {
  name: 'handshakes-full',
  title: 'A new connection per request, full handshakes',
  about: `${how}none is resumed.`,
  tools: ['nginx', 'haproxy', 'caddy', 'wrk'],
  run: async (bench, rounds = usual.rounds) => [await handshakes(bench, false, rounds)],
};

export const handshakesResumed: Question = {
  name: 'handshakes-resumed',
  title: 'A new connection per request, resumed',
  about: `${how}all are resumed by ticket.`,
  tools: ['nginx', 'haproxy', 'caddy', 'wrk'],
  run: async (bench, rounds = usual.rounds) => [await handshakes(bench, true, rounds)],
};

export const handshakesUnknown: Question = {
  name: 'handshakes-unknown',
  title: 'A flood of names that nobody has',
  about:
    'A client of ours sends the ClientHello of Node with another unknown name on each connection, 32 at a time, and ' +
    'reads the alert. Beside it the same gateway with full handshakes of a name that it serves, without a request.',
  tools: ['nginx'],
  run: async (bench, rounds = usual.rounds) => [await unknownNames(bench, rounds)],
};
