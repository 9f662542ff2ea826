import type { ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { trailerAllowed } from '../http1/chunked.ts';
import { linesOf } from './fields.ts';

/** Passes on the content of a request as it comes, and with its end its trailers, lines each with CRLF. */
export function readBody(
  stream: ServerHttp2Stream,
  content: (bytes: Buffer) => void,
  end: (trailers: string) => void,
): void {
  let trailers = '';
  stream.on('data', content);
  stream.on('trailers', (_headers, _flags, raw) => {
    const lines = linesOf(raw);
    const allowed = lines?.split('\r\n').every((line) => line === '' || trailerAllowed(line));
    if (lines !== undefined && allowed) trailers = lines;
    else stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
  });
  stream.on('end', () => {
    // A reset ends it for node:http2 too: a body that was cut must not look like a whole one.
    if (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    end(trailers);
  });
}
