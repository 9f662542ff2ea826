/** The REST API as tests call it, whoever serves it. */

export interface Envelope {
  readonly message: string | string[];
  readonly metadata: object;
  // Tests look into many shapes of result; the api's own tests check its types.
  readonly result: Record<string, unknown> & { readonly status?: string };
  readonly status: string;
  readonly version: string;
}

export interface Answer {
  readonly status: number;
  readonly envelope: Envelope;
  readonly headers: Headers;
}

interface Given {
  /** A text is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  /** Empty: none. */
  readonly token: string;
  readonly boundMs?: number;
}

/** One call at an api on this port of 127.0.0.1; rejects when there is no answer. */
export async function callApi(
  port: number,
  [method, path]: readonly [string, string],
  { body, token, boundMs }: Given,
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token ? { 'x-tapis-token': token } : {}),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(boundMs === undefined ? {} : { signal: AbortSignal.timeout(boundMs) }),
  });
  const envelope = JSON.parse(await response.text()) as Envelope;
  return { status: response.status, envelope, headers: response.headers };
}

/** A token for the user `admin`. */
export async function adminToken(port: number, password: string): Promise<string> {
  const body = { grant_type: 'password', username: 'admin', password };
  const { envelope } = await callApi(port, ['POST', '/v3/oauth2/tokens'], { body, token: '' });
  return (envelope.result['access_token'] as { access_token: string }).access_token;
}
