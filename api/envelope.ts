/** The frame of every JSON answer, success and error alike. */
export interface Envelope {
  readonly message: string | readonly string[];
  readonly metadata: object;
  readonly result: unknown;
  readonly status: 'success' | 'error';
  readonly version: string;
}

/** The version of the API that envelopes and the OpenAPI document name. */
export const apiVersion = '0.1.0';

export const success = (result: unknown, message: string, metadata: object = {}): Envelope => ({
  message,
  metadata,
  result,
  status: 'success',
  version: apiVersion,
});

/** `result` is null but where the wire has always had the object (an update that changes nothing). */
export const failure = (message: string | readonly string[], result: unknown = null): Envelope => ({
  message,
  metadata: {},
  result,
  status: 'error',
  version: apiVersion,
});
