import { once } from 'node:events';
import https from 'node:https';
import { createInterface } from 'node:readline';
import tls from 'node:tls';
import { WebSocket } from 'ws';

/**
 * Tunnels that stay open, each asking its pod's name now and then, and a load of requests. Started by
 * edits.ts, which tells it by message to begin and to report.
 */

export interface Wish {
  readonly port: number;
  readonly ca: string;
  readonly domain: string;
  /** Names of pods; each gets `perPod` tunnels of its kind. */
  readonly tcp: readonly string[];
  readonly websocket: readonly string[];
  readonly perPod: number;
  /** The pods that are asked by requests all the while. */
  readonly http: readonly string[];
  readonly everyMs: number;
}

export interface Report {
  readonly open: number;
  readonly answers: number;
  readonly requests: number;
  /** What went wrong, the first few. */
  readonly faults: readonly string[];
}

/** One tunnel: sends, and hears what its pod says its name is. */
interface Tunnel {
  readonly name: string;
  /** It has heard something since this was last set to false. */
  heard: boolean;
  ask(): void;
  end(): void;
}

const faults: string[] = [];
const tunnels: Tunnel[] = [];
let answers = 0;
let requests = 0;
let reporting = false;
const over = new AbortController();

const fault = (text: string): void => {
  if (!over.signal.aborted && faults.length < 20) faults.push(text);
};

function hear(tunnel: Tunnel, said: string): void {
  answers += 1;
  tunnel.heard = true;
  if (said !== tunnel.name) fault(`${tunnel.name} was answered by ${said}`);
}

async function openTcp(name: string, wish: Wish): Promise<Tunnel> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: wish.port,
    servername: `${name}.${wish.domain}`,
    ca: wish.ca,
  });
  await once(socket, 'secureConnect');
  const tunnel = {
    name,
    heard: false,
    ask: () => socket.write('?'),
    end: () => socket.destroy(),
  };
  // Answers may arrive together.
  createInterface({ input: socket }).on('line', (line) => hear(tunnel, line));
  socket.on('error', (error) => fault(`${name}: ${error.message}`));
  socket.on('close', () => fault(`${name}: a TCP tunnel was cut`));
  return tunnel;
}

async function openWebSocket(name: string, wish: Wish): Promise<Tunnel> {
  const host = `${name}.${wish.domain}`;
  // Known to tls.connect, which ws hands them to, but not to its declaration.
  const secure: object = { servername: host, ca: wish.ca };
  const socket = new WebSocket(`wss://127.0.0.1:${wish.port}/`, {
    headers: { host },
    perMessageDeflate: false,
    ...secure,
  });
  await once(socket, 'open');
  const tunnel = {
    name,
    heard: false,
    ask: () => socket.send('?'),
    end: () => socket.terminate(),
  };
  socket.on('message', (data: Buffer) => hear(tunnel, data.toString()));
  socket.on('error', (error) => fault(`${name}: ${error.message}`));
  socket.on('close', (code) => fault(`${name}: a WebSocket was closed with ${code}`));
  return tunnel;
}

async function openAll(wish: Wish): Promise<void> {
  const waiting = [
    ...wish.tcp.map((name) => ({ name, open: openTcp })),
    ...wish.websocket.map((name) => ({ name, open: openWebSocket })),
  ].flatMap((one) => Array.from({ length: wish.perPod }, () => one));
  const opener = async (): Promise<void> => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      tunnels.push(await next.open(next.name, wish));
    }
  };
  await Promise.all(Array.from({ length: 16 }, opener));
}

/** All tunnels ask once in `everyMs`, spread over that time. */
function keepAsking(everyMs: number): void {
  let next = 0;
  const turnMs = 50;
  const timer = setInterval(() => {
    if (reporting) clearInterval(timer);
    const share = Math.ceil((tunnels.length * turnMs) / everyMs);
    for (let count = 0; count < share; count += 1) {
      tunnels[next % tunnels.length]?.ask();
      next += 1;
    }
  }, turnMs);
}

async function keepRequesting(name: string, wish: Wish, agent: https.Agent): Promise<void> {
  const host = `${name}.${wish.domain}`;
  while (!over.signal.aborted) {
    await new Promise<void>((resolve) => {
      const asked = https.get(
        {
          agent,
          host: '127.0.0.1',
          port: wish.port,
          servername: host,
          ca: wish.ca,
          headers: { host },
        },
        (response) => {
          let body = '';
          response.on('data', (bytes: Buffer) => (body += String(bytes)));
          response.on('end', () => {
            requests += 1;
            if (body !== name) fault(`${name}: a request got ${response.statusCode} ${body}`);
            resolve();
          });
        },
      );
      asked.on('error', (error) => {
        fault(`${name}: a request failed: ${error.message}`);
        resolve();
      });
    });
  }
}

async function begin(wish: Wish): Promise<void> {
  try {
    await openAll(wish);
    keepAsking(wish.everyMs);
    const agent = new https.Agent({ keepAlive: true });
    for (const name of wish.http) void keepRequesting(name, wish, agent);
  } catch (error) {
    fault(`not all tunnels opened: ${String(error)}`);
  }
  process.send?.('open');
}

/** A tunnel counts as open when it answers once more, after what was under way has come in. */
async function report(): Promise<void> {
  reporting = true;
  await wait(2_000);
  for (const tunnel of tunnels) {
    tunnel.heard = false;
    tunnel.ask();
  }
  const silent = (): Tunnel[] => tunnels.filter((tunnel) => !tunnel.heard);
  for (let waitedMs = 0; waitedMs < 15_000 && silent().length > 0; waitedMs += 100) await wait(100);
  for (const { name } of silent()) fault(`${name}: a tunnel does not answer any more`);
  const said: Report = { open: tunnels.length - silent().length, answers, requests, faults };
  over.abort();
  for (const tunnel of tunnels) tunnel.end();
  process.send?.(said, () => process.exit(0));
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

process.on('message', (message: Wish | 'report') => {
  if (message === 'report') void report();
  else void begin(message);
});
process.on('disconnect', () => process.exit(0));
