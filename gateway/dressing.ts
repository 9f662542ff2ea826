import type { Cors } from '#contracts/policy.ts';
import { withCors } from './cors.ts';
import type { ResponseHead } from './http1/response-head.ts';

const strictTransport = /^strict-transport-security:/im;

/**
 * The head with what the route's policy and the gateway's settings add to every answer. `hsts` is a
 * field line with CRLF, or nothing; a pod's own stands.
 */
export function dressed(
  head: ResponseHead,
  cors: Cors | undefined,
  origin: string,
  hsts: string,
): ResponseHead {
  if (!cors && hsts === '') return head;
  const text = cors ? withCors(head.text, cors, origin) : head.text;
  return { ...head, text: hsts === '' || strictTransport.test(text) ? text : `${text}${hsts}` };
}
