import type { Clock } from '#contracts/clock.ts';
import type { Route } from '#contracts/route.ts';
import type { Protocol } from './report.ts';

/** Which requests and sessions get a line: every one, those that went wrong, or none. */
export const accessLogLevels = ['all', 'errors', 'off'] as const;
export type AccessLogLevel = (typeof accessLogLevels)[number];

/** Where lines go. `done` is called when they are out, or lost. */
export interface LineSink {
  write(lines: string, done: () => void): void;
}

/** Why a request or a session ended, besides the code of the page that answered it. */
export type Ended =
  | 'complete'
  | 'client left'
  | 'pod cut it'
  | 'timed out'
  | 'pod ended it'
  | 'client ended it'
  | 'broken off';

/** Who and what for: the same for most requests of a connection, so its part of the lines is kept. */
export class Party {
  readonly protocol: Protocol;
  readonly client: string;
  readonly route: Route | undefined;
  #fields: string | undefined;

  constructor(protocol: Protocol, client: string, route: Route | undefined) {
    this.protocol = protocol;
    this.client = client;
    this.route = route;
  }

  /** Its fields of a line, each with a comma before it. */
  get fields(): string {
    return (this.#fields ??=
      `,"client":${json(this.client)},"protocol":"${this.protocol}"` +
      (this.route ? routeFields(this.route) : ''));
  }
}

/** One request, tunnel or session, when it is over. */
export interface AccessEntry {
  party: Party;
  /** Of what is no request: nothing. */
  request: AccessRequest | undefined;
  /** Of the request. */
  id: string;
  /** 0: it was never answered. */
  status: number;
  bytesIn: number;
  bytesOut: number;
  ms: number;
  /** From the whole head to the first byte of the pod's answer; undefined without one. */
  firstByteMs: number | undefined;
  /** How often the request was sent to the pod. */
  tries: number;
  /** The last of them went over a connection that was used before. */
  reused: boolean;
  /** `Ended`, or the code of `gateway/pages`. */
  ended: string;
}

interface AccessRequest {
  readonly method: string;
  readonly host: string;
  readonly target: string;
}

const batchBytes = 262_144; // each write wakes another thread: 64 KiB cost 0.3 µs a line more
const batchMs = 100;
const closingMs = 1_000; // a reader that stalls must not keep a worker from ending
const waitingBytesMax = 1_048_576; // of lines that a slow disk or reader keeps from leaving

const info = 30; // pino's levels
const warn = 40;

/**
 * Writes a line of JSON, as pino has it, for what is over. Lines leave together, at most `batchMs`
 * late; a sink that takes none makes them be dropped, counted and told, and never holds up a request.
 */
export class AccessLog {
  readonly #level: AccessLogLevel;
  readonly #sink: LineSink;
  readonly #clock: Clock;
  readonly #origin: string;
  #lines = '';
  #writing = false;
  #dropped = 0;
  #cancel: (() => void) | undefined;
  #closed: (() => void) | undefined;

  constructor(
    { level, sink, clock }: { level: AccessLogLevel; sink: LineSink; clock: Clock },
    process: { readonly pid: number; readonly hostname: string },
  ) {
    this.#level = level;
    this.#sink = sink;
    this.#clock = clock;
    this.#origin = `"pid":${process.pid},"hostname":${json(process.hostname)}`;
  }

  /** Whether such an end gets a line: what is made for one costs nothing where there is none. */
  wants(status: number, ended: string): boolean {
    return this.#level === 'all' || (this.#level === 'errors' && isError(status, ended));
  }

  /** Keeps nothing of `entry`. */
  write(entry: Readonly<AccessEntry>): void {
    const level = isError(entry.status, entry.ended) ? warn : info;
    this.#push(
      `{"level":${level},"time":${this.#clock.nowMs()},${this.#origin},${fieldsOf(entry)}}\n`,
    );
  }

  /** Calls back when everything is out, or when it cannot be waited for any longer. */
  close(done: () => void): void {
    this.#closed = done;
    this.#clock.after(closingMs, () => this.#end());
    this.#flush();
  }

  #end(): void {
    const closed = this.#closed;
    this.#closed = undefined;
    closed?.();
  }

  #push(line: string): void {
    if (this.#lines.length + line.length > waitingBytesMax) {
      this.#dropped += 1;
      return;
    }
    this.#append(line);
  }

  #append(line: string): void {
    this.#lines += line;
    if (this.#lines.length >= batchBytes) this.#flush();
    else this.#cancel ??= this.#clock.after(batchMs, () => this.#flush());
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#writing) return;
    if (this.#lines === '') {
      this.#end();
      return;
    }
    const lines = this.#lines;
    this.#lines = '';
    this.#writing = true;
    this.#sink.write(lines, () => this.#written());
  }

  #written(): void {
    this.#writing = false;
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) {
      // In any case: were this line dropped, nobody would hear of the others.
      this.#append(
        `{"level":${warn},"time":${this.#clock.nowMs()},${this.#origin},"dropped":${dropped},` +
          '"msg":"lines of the access log were dropped: it is written slower than requests come"}\n',
      );
    }
    if (this.#closed || this.#lines.length >= batchBytes) this.#flush();
  }
}

const wrong: ReadonlySet<string> = new Set<Ended>(['pod cut it', 'timed out', 'broken off']);

/** Clients that leave are no error, browsers do so all day; nor is a pod that somebody stopped. */
const isError = (status: number, ended: string): boolean =>
  wrong.has(ended) || (status >= 500 && !ended.startsWith('EDGE_POD_'));

function fieldsOf(entry: Readonly<AccessEntry>): string {
  const { party, request, id, status, bytesIn, bytesOut, ms, ended } = entry;
  return (
    (request ? requestFields(request, id) : `"host":${json(party.route?.host ?? '')}`) +
    `${party.fields}${sentFields(entry)},"status":${status},"bytesIn":${bytesIn}` +
    `,"bytesOut":${bytesOut},"ms":${short(ms)},"ended":${json(ended)}` +
    (isSession(party.protocol) ? ',"msg":"session"' : ',"msg":"request"')
  );
}

const isSession = (protocol: Protocol): boolean => protocol === 'tcp' || protocol === 'postgres';

/** What follows `?` often holds tokens, and stays out. */
function requestFields({ method, host, target }: AccessRequest, id: string): string {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  return `"id":"${id}","method":"${method}","host":${json(host)},"path":${json(path)}`;
}

function routeFields({ tenant, pod, network, upstream }: Route): string {
  const to = upstream ? `,"upstream":"${upstream.host}:${upstream.port}"` : '';
  return `,"tenant":"${tenant}","pod":"${pod}","network":"${network}"${to}`;
}

function sentFields({ firstByteMs, tries, reused }: Readonly<AccessEntry>): string {
  if (tries === 0) return '';
  const first = firstByteMs === undefined ? '' : `,"firstByteMs":${short(firstByteMs)}`;
  return `,"tries":${tries}${reused ? ',"reused":true' : ',"reused":false'}${first}`;
}

const hundredths = Array.from({ length: 100 }, (_, index) => String(index).padStart(2, '0'));

/** To the hundredth: finer is noise. Whole numbers become text several times as fast as others. */
function short(ms: number): string {
  const rounded = Math.round(ms * 100);
  return `${Math.floor(rounded / 100)}.${hundredths[rounded % 100]}`;
}

// oxlint-disable-next-line no-control-regex -- these are among what JSON has to escape
const special = /["\\\u0000-\u001f\u007f-\uffff]/;

/** Whatever clients send stays within its quotes. */
const json = (text: string): string => (special.test(text) ? JSON.stringify(text) : `"${text}"`);
