/** The chunked coding (RFC 9112, 7.1) of content that came without it. */

/** One chunk, or nothing for nothing: an empty chunk is the last. */
export const chunk = (bytes: Buffer): Buffer =>
  bytes.length === 0
    ? bytes
    : Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'), bytes, crlf]);

const crlf = Buffer.from('\r\n', 'latin1');

/** The end of a chunked body. `trailers`: field lines, each with CRLF. */
export const lastChunk = (trailers: string): string => `0\r\n${trailers}\r\n`;
