import { createServer } from 'node:http';

/** A part of the program that can tell whether it does its work. */
export interface Part {
  readonly name: string;
  ready(): boolean;
}

/**
 * Serves `/healthz` (the process answers), `/readyz` (every part does its work, else 503 naming
 * those that do not) and `/metrics` (the same for Prometheus) on the operator's port.
 */
export async function startAdmin(
  parts: readonly Part[],
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    const { status, type, body } = answer(request.url ?? '', parts);
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(body),
});

function answer(path: string, parts: readonly Part[]): Answer {
  if (path === '/healthz') return json(200, { status: 'ok' });
  if (path === '/metrics') return metrics(parts);
  if (path !== '/readyz') return json(404, { message: 'try /healthz, /readyz or /metrics' });
  const waiting = parts.filter((part) => !part.ready()).map((part) => part.name);
  return waiting.length === 0
    ? json(200, { status: 'ready' })
    : json(503, { status: 'not ready', waiting });
}

/** The Prometheus text format, version 0.0.4. */
function metrics(parts: readonly Part[]): Answer {
  const lines = [
    '# HELP podgate_part_ready Whether a part of this process does its work.',
    '# TYPE podgate_part_ready gauge',
    ...parts.map((part) => `podgate_part_ready{part="${part.name}"} ${part.ready() ? 1 : 0}`),
  ];
  return { status: 200, type: 'text/plain; version=0.0.4', body: `${lines.join('\n')}\n` };
}
