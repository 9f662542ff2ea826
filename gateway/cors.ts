import type { Cors } from '#contracts/policy.ts';
import { splitField } from './http1/fields.ts';

/** Cross-origin rules of a route, as the Fetch standard (3.3, "HTTP extensions") has them. */

/** A browser asks before it sends the real request. */
export interface Preflight {
  readonly origin: string;
  /** Method and headers that it wants to use. */
  readonly method: string;
  readonly headers: string;
}

/** What the answer to a preflight says besides; an origin that is not allowed is told nothing. */
export function preflightFields(cors: Cors, { origin, method, headers }: Preflight): string {
  if (!admits(cors, origin)) return '';
  const methods = cors.methods.length > 0 ? cors.methods.join(', ') : simpleMethods;
  const everyHeader = cors.headers.includes('*') && headers !== '';
  // `*` is taken literally together with credentials, so what was asked for is said.
  const allowedMethods = cors.methods.includes('*') ? method : methods;
  const allowedHeaders = everyHeader ? headers : cors.headers.join(', ');
  return (
    `Access-Control-Allow-Methods: ${allowedMethods}\r\n` +
    (allowedHeaders === '' ? '' : `Access-Control-Allow-Headers: ${allowedHeaders}\r\n`) +
    `Access-Control-Max-Age: ${cors.maxAgeSeconds}\r\n`
  );
}

const simpleMethods = 'GET, HEAD, POST'; // allowed without asking, so nothing is granted by it

const admits = ({ origins }: Cors, origin: string): boolean =>
  origins.includes('*') || origins.includes(origin);

/** An answer with the route's rules in place of the pod's. `text`: start line and field lines. */
export function withCors(text: string, cors: Cors, origin: string): string {
  const lines = text.split('\r\n').filter((line) => {
    const name = splitField(line)?.name;
    return name === undefined || !name.startsWith('access-control-');
  });
  return `${lines.join('\r\n')}${originFields(cors, origin)}`;
}

/** What an origin is told with every answer, also with those of the gateway itself. */
export function originFields(cors: Cors, origin: string): string {
  if (cors.origins.includes('*')) return 'Access-Control-Allow-Origin: *\r\n';
  // Caches must not hand one origin's answer to another.
  if (!admits(cors, origin)) return 'Vary: Origin\r\n';
  const credentials = cors.credentials ? 'Access-Control-Allow-Credentials: true\r\n' : '';
  return `Access-Control-Allow-Origin: ${origin}\r\n${credentials}Vary: Origin\r\n`;
}
