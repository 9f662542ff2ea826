import type { Route, RouteState } from '#contracts/route.ts';
import { htmlOf } from './html.ts';

/** An answer of the gateway itself, for a person or a program. Codes are stable and never reused. */
export interface Page {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly message: string;
  /** Seconds until trying again makes sense; browsers reload by themselves. */
  readonly retryAfter?: number;
  readonly location?: string;
  /** Further field lines, each with CRLF. */
  readonly fields?: string;
}

const states: Readonly<Record<Exclude<RouteState, 'ready'>, Omit<Page, 'message'>>> = {
  starting: {
    status: 503,
    code: 'EDGE_POD_STARTING',
    title: 'This pod is starting',
    retryAfter: 1,
  },
  stopping: {
    status: 503,
    code: 'EDGE_POD_STOPPING',
    title: 'This pod is stopping',
    retryAfter: 2,
  },
  stopped: { status: 503, code: 'EDGE_POD_STOPPED', title: 'This pod is stopped' },
  failed: { status: 503, code: 'EDGE_POD_FAILED', title: 'This pod has failed' },
  complete: { status: 503, code: 'EDGE_POD_COMPLETE', title: 'This pod has finished' },
};

/** Why a pod could not even be connected to. */
export type Unreached = 'refused' | 'timed out';

/** What clients are told when a pod gave no answer at all. */
export function noAnswerPage(unreached: Unreached | undefined): Page {
  if (unreached === undefined) return pages.hungUp;
  return unreached === 'refused' ? pages.upstreamRefused : pages.connectTimeout;
}

/** What clients of a pod that is not ready are told. */
export function podPage({ state, message }: Route): Page {
  return state === 'ready' ? pages.badGateway : { ...states[state], message };
}

const badRequestCode = 'EDGE_BAD_REQUEST';

export const pages = {
  unknownHost: (host: string): Page => ({
    status: 404,
    code: 'EDGE_NO_ROUTE',
    title: 'There is no pod here',
    message: `No pod has the address ${host}.`,
  }),
  misdirected: {
    status: 421,
    code: 'EDGE_MISDIRECTED',
    title: 'Misdirected request',
    message: 'This connection was opened for another host: open a new one.',
  },
  notHttp: (protocol: string): Page => ({
    status: 400,
    code: 'EDGE_NOT_HTTP',
    title: 'This address is not for browsers',
    message:
      protocol === 'postgres'
        ? 'It is a Postgres database: use psql or another client with sslmode=verify-full, this host and this port.'
        : `It speaks ${protocol} over TLS: use a client for that, with this host and port.`,
  }),
  badRequestCode,
  refused: (status: number, reason: string): Page => ({
    status,
    code: badRequestCode,
    title: 'This request was refused',
    message: `The gateway refuses it: ${reason}.`,
  }),
  notAllowed: {
    status: 403,
    code: 'EDGE_NOT_ALLOWED',
    title: 'Not allowed from here',
    message: 'The owner of this pod lets only certain addresses in, and yours is not among them.',
  },
  /** No page, but an answer of ours: a browser may send what it asked about. */
  preflight: (fields: string): Page => ({
    status: 204,
    code: 'EDGE_PREFLIGHT',
    title: '',
    message: '',
    fields,
  }),
  unknownChallenge: {
    status: 404,
    code: 'EDGE_NO_CHALLENGE',
    title: 'There is no such challenge',
    message: 'No certificate authority was promised an answer here.',
  },
  moved: (location: string): Page => ({
    status: 308,
    code: 'EDGE_USE_HTTPS',
    title: 'Moved to https',
    message: `Use ${location}`,
    location,
  }),
  upstreamRefused: {
    status: 502,
    code: 'EDGE_UPSTREAM_REFUSED',
    title: 'The pod accepts no connections',
    message: 'Its program does not listen where it should, or is only just starting.',
    retryAfter: 2,
  },
  connectTimeout: {
    status: 504,
    code: 'EDGE_UPSTREAM_TIMEOUT',
    title: 'The pod cannot be reached',
    message: 'It did not take the connection in time.',
    retryAfter: 2,
  },
  hungUp: {
    status: 502,
    code: 'EDGE_UPSTREAM_FAILED',
    title: 'The pod hung up',
    message: 'It took the request and closed the connection without a whole answer.',
  },
  badGateway: {
    status: 502,
    code: 'EDGE_UPSTREAM_FAILED',
    title: 'The answer of the pod makes no sense',
    message: 'What it sent back is not HTTP that can be passed on.',
  },
  timeout: {
    status: 504,
    code: 'EDGE_UPSTREAM_TIMEOUT',
    title: 'The pod took too long',
    message: 'It accepted the request and did not answer in time.',
  },
  clientTimeout: {
    status: 408,
    code: 'EDGE_CLIENT_TIMEOUT',
    title: 'The request took too long',
    message: 'It was not complete in time.',
  },
} as const;

const reasons: Readonly<Record<number, string>> = {
  204: 'No Content',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'URI Too Long',
  421: 'Misdirected Request',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

/**
 * The whole HTTP/1.1 response, a character for each byte (latin1), without a body for HEAD. Its text
 * is in UTF-8.
 */
export function renderPage(
  page: Page,
  options: { readonly html: boolean; readonly head: boolean; readonly keepAlive: boolean },
): string {
  const connection = `Connection: ${options.keepAlive ? 'keep-alive' : 'close'}\r\n\r\n`;
  const start = `HTTP/1.1 ${page.status} ${reasons[page.status] ?? ''}\r\n${page.fields ?? ''}`;
  if (page.status === 204) return `${start}${connection}`;
  const text = options.html ? htmlOf(page) : jsonOf(page);
  const body = Buffer.from(text, 'utf8').toString('latin1');
  const type = options.html ? 'text/html; charset=utf-8' : 'application/json';
  const extra =
    (page.retryAfter === undefined ? '' : `Retry-After: ${page.retryAfter}\r\n`) +
    (page.location === undefined ? '' : `Location: ${page.location}\r\n`) +
    (page.status === 405 ? 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n' : '');
  return (
    `${start}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n` +
    'Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n' +
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n" +
    `${extra}${connection}` +
    (options.head ? '' : body)
  );
}

const jsonOf = ({ message, code }: Page): string =>
  `${JSON.stringify({ message, code, status: 'error' })}\n`;
