/** What a connection to a pod carried, read by the letter of RFC 9112 and by nothing more lenient. */
export interface Reading {
  /** Method and target of each message that is whole. */
  readonly starts: readonly string[];
  readonly bodyBytes: number;
  /** Bytes of a message that was begun and not finished. */
  readonly rest: string;
}

const startLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/1\.[01]$/;
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/;

/** Reads requests until the bytes end; throws at whatever two parsers could read in two ways. */
export function readStrictly(bytes: string): Reading {
  const starts: string[] = [];
  let bodyBytes = 0;
  let rest = bytes;
  while (rest) {
    const message = readMessage(rest);
    if (!message) break;
    starts.push(...message.start);
    bodyBytes += message.bodyBytes;
    rest = rest.slice(message.length);
  }
  return { starts, bodyBytes, rest };
}

interface Message {
  readonly start: readonly [string, string];
  readonly bodyBytes: number;
  readonly length: number;
}

function readMessage(bytes: string): Message | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [first = '', ...lines] = bytes.slice(0, headEnd).split('\r\n');
  const [, method = '', target = ''] = startLine.exec(first) ?? refuse(`start line ${first}`);
  const fields = lines.map((line) => {
    const [, name = '', value = ''] = fieldLine.exec(line) ?? refuse(`field line ${line}`);
    return [name.toLowerCase(), value.trim()] as const;
  });
  const all = (wanted: string) => fields.flatMap(([name, value]) => (name === wanted ? value : []));
  if (all('host').length !== 1) refuse(`${all('host').length} Host fields`);
  const bodyStart = headEnd + 4;
  const body = readBody(bytes.slice(bodyStart), all('content-length'), all('transfer-encoding'));
  if (!body) return undefined;
  return { start: [method, target], bodyBytes: body.bytes, length: bodyStart + body.length };
}

function readBody(
  bytes: string,
  lengths: readonly string[],
  codings: readonly string[],
): { bytes: number; length: number } | undefined {
  if (lengths.length + codings.length > 1) refuse('more than one framing');
  const [coding] = codings;
  const [length = '0'] = lengths;
  if (!/^(0|[1-9]\d*)$/.test(length)) refuse(`length ${length}`);
  if (coding === undefined) {
    const wanted = Number(length);
    return bytes.length < wanted ? undefined : { bytes: wanted, length: wanted };
  }
  if (coding !== 'chunked') refuse(`coding ${coding}`);
  return readChunks(bytes);
}

function readChunks(bytes: string): { bytes: number; length: number } | undefined {
  let at = 0;
  let total = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const line = bytes.slice(at, lineEnd);
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) refuse(`chunk size ${line}`);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return undefined;
    if (bytes.slice(at + size, at + size + 2) !== '\r\n') refuse('chunk without its end');
    at += size + 2;
    total += size;
  }
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const line = bytes.slice(at, lineEnd);
    at = lineEnd + 2;
    if (line === '') return { bytes: total, length: at };
    if (!fieldLine.test(line)) refuse(`trailer ${line}`);
  }
}

function refuse(what: string): never {
  throw new Error(`ambiguous: ${JSON.stringify(what)}`);
}
