import type { Route, RouteState } from '#contracts/route.ts';

/** Where on the way from the visitor to the pod it goes wrong, and how: people see it at a glance. */
export type Sign =
  | 'waiting'
  | 'resting'
  | 'done'
  | 'late'
  | 'broken'
  | 'nowhere'
  | 'barred'
  | 'yours';

/** An answer of the gateway itself, for a person or a program. Codes are stable and never reused. */
export interface Page {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  /** One or two sentences that suit a page, JSON, gRPC and the reason of a closed WebSocket alike. */
  readonly message: string;
  readonly sign?: Sign;
  /** Seconds until trying again makes sense; browsers reload by themselves. */
  readonly retryAfter?: number;
  readonly location?: string;
  /** Further field lines, each with CRLF. */
  readonly fields?: string;
  /** All that the answer holds, as plain text, whoever asks. */
  readonly text?: string;
}

/** Long enough not to hammer, short enough that a person waits. */
export const retrySeconds = 2;

const states: Readonly<Record<Exclude<RouteState, 'ready'>, Omit<Page, 'message'>>> = {
  starting: {
    status: 503,
    code: 'EDGE_POD_STARTING',
    title: 'This pod is starting',
    sign: 'waiting',
    retryAfter: retrySeconds,
  },
  stopping: {
    status: 503,
    code: 'EDGE_POD_STOPPING',
    title: 'This pod is stopping',
    sign: 'waiting',
    retryAfter: retrySeconds,
  },
  stopped: {
    status: 503,
    code: 'EDGE_POD_STOPPED',
    title: 'This pod is stopped',
    sign: 'resting',
  },
  failed: { status: 503, code: 'EDGE_POD_FAILED', title: 'This pod has failed', sign: 'broken' },
  complete: {
    status: 503,
    code: 'EDGE_POD_COMPLETE',
    title: 'This pod has finished',
    sign: 'done',
  },
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
    message: `No pod has the address ${host}. It may be misspelt, or the pod was deleted.`,
    sign: 'nowhere',
  }),
  misdirected: {
    status: 421,
    code: 'EDGE_MISDIRECTED',
    title: 'Misdirected request',
    message: 'This connection was opened for another host: open a new one for this.',
    sign: 'barred',
  },
  notHttp: (protocol: string): Page => ({
    status: 400,
    code: 'EDGE_NOT_HTTP',
    title: 'This address is not for browsers',
    message:
      protocol === 'postgres'
        ? 'It is a Postgres database: use psql or another client with sslmode=verify-full, this host and this port.'
        : `It speaks ${protocol} over TLS: use a client for that, with this host and port.`,
    sign: 'yours',
  }),
  badRequestCode,
  refused: (status: number, reason: string): Page => ({
    status,
    code: badRequestCode,
    title: 'This request was refused',
    message: `The gateway refuses it: ${reason}.`,
    sign: 'yours',
  }),
  notAllowed: (address: string): Page => ({
    status: 403,
    code: 'EDGE_NOT_ALLOWED',
    title: 'Not allowed from here',
    message: `The owner of this pod lets only certain addresses in, and ${address} is not among them.`,
    sign: 'barred',
  }),
  /** No page, but an answer of ours: a browser may send what it asked about. */
  preflight: (fields: string): Page => ({
    status: 204,
    code: 'EDGE_PREFLIGHT',
    title: '',
    message: '',
    fields,
  }),
  /** No page, but what a certificate authority was promised (RFC 8555, 8.3). */
  challenge: (text: string): Page => ({
    status: 200,
    code: 'EDGE_CHALLENGE',
    title: '',
    message: '',
    text,
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
    sign: 'broken',
    retryAfter: retrySeconds,
  },
  connectTimeout: {
    status: 504,
    code: 'EDGE_UPSTREAM_TIMEOUT',
    title: 'The pod cannot be reached',
    message: 'It did not take the connection in time.',
    sign: 'late',
    retryAfter: retrySeconds,
  },
  hungUp: {
    status: 502,
    code: 'EDGE_UPSTREAM_FAILED',
    title: 'The pod hung up',
    message: 'It took the request and closed the connection without a whole answer.',
    sign: 'broken',
  },
  badGateway: {
    status: 502,
    code: 'EDGE_UPSTREAM_FAILED',
    title: 'The answer of the pod makes no sense',
    message: 'What it sent back is not HTTP that can be passed on.',
    sign: 'broken',
  },
  timeout: {
    status: 504,
    code: 'EDGE_UPSTREAM_TIMEOUT',
    title: 'The pod took too long',
    message: 'It accepted the request and did not answer in time.',
    sign: 'late',
  },
  clientTimeout: {
    status: 408,
    code: 'EDGE_CLIENT_TIMEOUT',
    title: 'The request took too long',
    message: 'It was not complete in time.',
    sign: 'yours',
  },
} as const;
