import { STATUS_CODES } from 'node:http';

/** One thing wrong with what was sent: where, and what to do about it. */
interface FieldProblem {
  /** `body`, `path`, `querystring` or `header`. */
  readonly in: string;
  /** Names and indexes from there on, with dots between; '' for the whole. */
  readonly field: string;
  readonly detail: string;
}

/** What failed, for programs: the members of RFC 9457 that say more than the envelope does. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly FieldProblem[];
}

/** The problem that `message` tells; texts of a list name a field each, `<in>, <path>: <detail>`. */
export function problemOf(status: number, message: string | readonly string[]): Problem {
  const title = STATUS_CODES[status] ?? 'Error';
  if (typeof message === 'string') return { title, status, detail: message };
  return { title, status, detail: message.join('; '), errors: message.map(fieldProblem) };
}

function fieldProblem(text: string): FieldProblem {
  const end = text.indexOf(': ');
  const [place = '', ...path] = text.slice(0, Math.max(end, 0)).split(', ');
  return { in: place, field: path.join('.'), detail: text.slice(end + (end < 0 ? 1 : 2)) };
}

/**
 * The status on the wire. Scripts written for the original catch its codes: with `tapis` a missing
 * right or token is a 400, as is an unknown path, and a conflict a 500.
 */
export function wireStatus(status: number, codes: StatusCodes): number {
  return codes === 'tapis' ? (tapisCodes[status] ?? status) : status;
}

export type StatusCodes = 'http' | 'tapis';

const tapisCodes: Readonly<Record<number, number>> = { 401: 400, 403: 400, 405: 400, 409: 500 };
