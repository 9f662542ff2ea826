/** Bytes that a client sends in one piece over TLS, and all that may come of them. */
export interface Attack {
  readonly name: string;
  /** One character is one byte. */
  readonly send: string;
  /** What the client gets, in order: a status of the gateway's own, or the start line that the pod echoes. */
  readonly answers: readonly (number | string)[];
  /**
   * What becomes of the connection: it serves a further request (`open`), the gateway ends it
   * (`closed`), or the gateway waits for the rest, so that the client has to (`unfinished`).
   */
  readonly after: 'open' | 'closed' | 'unfinished';
  /** All bytes that reach the pod, request ids replaced by `ID`. */
  readonly pod: string;
}

export const host = 'a.pods.example.test';

/** A request with Host in front. */
export const request = (start: string, fields: readonly string[] = [], body = ''): string =>
  message(start, [`Host: ${host}`, ...fields], body);

/** Exactly these lines and this body. */
export const message = (start: string, fields: readonly string[], body = ''): string =>
  `${[start, ...fields].join('\r\n')}\r\n\r\n${body}`;

/** The same as the pod gets it. `fields`: framing and what else stands before our own. */
export const forwarded = (
  start: string,
  fields: readonly string[] = [],
  body = '',
  authority = host,
): string =>
  message(
    start,
    [
      `Host: ${authority}`,
      ...fields,
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Proto: https',
      `X-Forwarded-Host: ${authority}`,
      'X-Forwarded-Port: 443',
      'X-Request-Id: ID',
    ],
    body,
  );

const victim = request('GET /victim HTTP/1.1');

/** Refused by its head; a request right behind it gets no answer and reaches nobody. */
export const refused = (name: string, send: string, status = 400): Attack => ({
  name,
  send: send + victim,
  answers: [status],
  after: 'closed',
  pod: '',
});

/** Passed on as `pod` has it, each request with its answer, and the connection goes on. */
export const passed = (name: string, send: string, ...pod: readonly string[]): Attack => ({
  name,
  send,
  answers: pod.map(startOf),
  after: 'open',
  pod: pod.join(''),
});

/** Method and target, which the pod echoes. */
export const startOf = (head: string): string => head.split(' ', 2).join(' ');
