import { z } from 'zod';
import { problemOf } from './problem.ts';

/** The version of the API that envelopes and the OpenAPI document name. */
export const apiVersion = '0.1.0';

/** The frame of every JSON answer, success and error alike. */

const frame = {
  message: z.union([z.string(), z.array(z.string())]).meta({ examples: ['It was done.'] }),
  metadata: z.record(z.string(), z.unknown()),
  version: z.string().meta({ examples: [apiVersion] }),
};

const wrong = ['body, pod_id: must have at least 3 characters'];
const zFailure = z.strictObject({ ...frame, status: z.literal('error'), result: z.null() }).meta({
  id: 'Failure',
  description: 'What was wrong; texts of a list name a field each.',
  examples: [
    {
      message: wrong,
      metadata: { problem: problemOf(400, wrong) },
      result: null,
      status: 'error',
      version: apiVersion,
    },
  ],
});

export interface Envelope<Result> {
  readonly message: string | string[];
  readonly metadata: Record<string, unknown>;
  readonly result: Result;
  readonly status: 'success' | 'error';
  readonly version: string;
}

/** The answers of an operation, as its route declares and its handler is checked against. */
export function answers<Result extends z.ZodType>(result: Result) {
  const status = z.enum(['success', 'error']);
  return {
    200: z.strictObject({ ...frame, status, result }).describe('The result, in its envelope.'),
    '4xx': zFailure,
    '5xx': zFailure,
  };
}

export const success = <Result>(
  result: Result,
  message: string,
  metadata: Record<string, unknown> = {},
): Envelope<Result> => ({ message, metadata, result, status: 'success', version: apiVersion });

export const failure = (
  message: string | readonly string[],
  metadata: Record<string, unknown> = {},
): Envelope<null> => ({
  message: typeof message === 'string' ? message : [...message],
  metadata,
  result: null,
  status: 'error',
  version: apiVersion,
});

/** The wire answers 200 here: scripts ask whether an image is there by looking at `status`. */
export const notFoundWith200 = (message: string): Envelope<null> =>
  failure(message, { problem: problemOf(404, message) });

/** The wire's one failure with 200 and a result: an update that changes nothing. */
export const unchanged = <Result>(result: Result, message: string): Envelope<Result> => ({
  ...failure(message),
  result,
});
