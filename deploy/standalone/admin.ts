import { createServer } from 'node:http';

/** A part of the program that can tell whether it does its work. */
export interface Part {
  readonly name: string;
  ready(): boolean;
}

/**
 * Serves `/healthz` (the process answers) and `/readyz` (every part does its work, else 503 naming
 * those that do not) on the operator's port.
 */
export async function startAdmin(
  parts: readonly Part[],
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request.url ?? '', parts);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
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

function answer(path: string, parts: readonly Part[]): { status: number; body: object } {
  if (path === '/healthz') return { status: 200, body: { status: 'ok' } };
  if (path !== '/readyz') return { status: 404, body: { message: 'try /healthz or /readyz' } };
  const waiting = parts.filter((part) => !part.ready()).map((part) => part.name);
  return waiting.length === 0
    ? { status: 200, body: { status: 'ready' } }
    : { status: 503, body: { status: 'not ready', waiting } };
}
