import type { Page } from './pages.ts';

// Names and numbers of grpc.io/docs/guides/status-codes.
const codes = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

const byStatus: Readonly<Record<number, number>> = {
  400: codes.invalidArgument,
  403: codes.permissionDenied,
  404: codes.notFound,
  405: codes.unimplemented,
  408: codes.deadlineExceeded,
  429: codes.resourceExhausted,
  431: codes.resourceExhausted,
  501: codes.unimplemented,
  502: codes.unavailable,
  503: codes.unavailable,
  504: codes.deadlineExceeded,
};

/** A page as gRPC has errors: 200 with nothing but trailers, as a head's lines, each with CRLF. */
export function grpcHead({ status, code, message }: Page): string {
  const number = byStatus[status] ?? codes.internal;
  return (
    'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n' +
    `grpc-status: ${number}\r\ngrpc-message: ${escaped(`${code}: ${message}`)}\r\n`
  );
}

/** Percent-encoded where it is not printable ASCII (gRPC over HTTP/2, "Status-Message"). */
const escaped = (text: string): string =>
  Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(
      /[^\u0020-\u0024\u0026-\u007e]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    );
