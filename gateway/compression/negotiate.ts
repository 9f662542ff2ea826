import type { Compression } from '#contracts/policy.ts';
import { listOf, splitField, weightsOf } from '../http1/fields.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';

export type Coding = Compression['codings'][number];

/** An answer as it goes on: in a content coding (RFC 9110, 8.4), or only told apart by Vary. */
export interface Negotiated {
  readonly head: ResponseHead;
  readonly coding: Coding | undefined;
}

type Asked = Pick<RequestHead, 'method' | 'acceptEncoding' | 'noTransform'>;

/**
 * Decides whether an answer is compressed; without `mayCode` it is not, and caches are told that it
 * might have been. Never: what is compressed already, partial, without a
 * body, a stream of events or of messages, or said to be left alone.
 */
export function negotiate(
  head: ResponseHead,
  request: Asked,
  { compression, mayCode }: { readonly compression: Compression; readonly mayCode: boolean },
): Negotiated {
  const untouched = { head, coding: undefined };
  if (head.framing === 'none' || request.method === 'HEAD' || request.noTransform) return untouched;
  if (head.status === 206 || (head.status >= 300 && head.status < 400)) return untouched;
  const fields = fieldsOf(head.text);
  if (!compressible(fields, compression)) return untouched;
  if (head.framing === 'length' && head.length < compression.minBytes) return untouched;
  const coding = chooseCoding(request.acceptEncoding, compression.codings);
  if (!coding || !mayCode) {
    return { head: { ...head, text: withVary(head.text, fields) }, coding: undefined };
  }
  // Its length is known when the last byte is out.
  return {
    head: { ...head, framing: 'close', length: 0, text: coded(head.text, fields, coding) },
    coding,
  };
}

/** The coding the client likes best, the earlier of ours among equals (RFC 9110, 12.5.3). */
export function chooseCoding(accepted: string, ours: readonly Coding[]): Coding | undefined {
  if (accepted === '') return undefined;
  const weights = weightsOf(accepted.replace(/\bx-gzip\b/gi, 'gzip'));
  const identity = weights.get('identity') ?? 0;
  let best: Coding | undefined;
  let weight = identity;
  for (const coding of ours) {
    const own = weights.get(coding) ?? weights.get('*') ?? 0;
    if (own > weight || (own === weight && own > 0 && best === undefined)) {
      best = coding;
      weight = own;
    }
  }
  return best;
}

type Fields = ReadonlyMap<string, string>;

/** Values by lower-case name; those that came more than once joined. */
function fieldsOf(text: string): Fields {
  const fields = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const field = splitField(line);
    if (!field) continue;
    const before = fields.get(field.name);
    fields.set(field.name, before === undefined ? field.value : `${before}, ${field.value}`);
  }
  return fields;
}

// Compressed already, or delivered piece by piece, or saying nothing of what it is.
const leftAlone =
  /^(image\/(?!svg\+xml|bmp|vnd\.microsoft\.icon|x-icon)|audio\/|video\/|multipart\/|text\/event-stream|font\/woff|application\/(grpc|font-woff|octet-stream|pdf|ogg|zip|gzip|x-gzip|zstd|x-bzip|x-7z|x-rar|vnd\.rar|x-xz|x-lzip|java-archive|epub|vnd\.openxmlformats|vnd\.android))/;

function compressible(fields: Fields, { excludedTypes }: Compression): boolean {
  const type = (fields.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === '' || leftAlone.test(type) || excludedTypes.includes(type)) return false;
  if (fields.has('content-encoding') || fields.has('content-range')) return false;
  // A digest of the content would no longer be that of what arrives (RFC 9530).
  if (fields.has('content-digest') || fields.has('digest') || fields.has('content-md5'))
    return false;
  if (fields.get('x-accel-buffering')?.toLowerCase() === 'no') return false;
  return !listOf(fields.get('cache-control') ?? '').includes('no-transform');
}

function withVary(text: string, fields: Fields): string {
  const vary = listOf(fields.get('vary') ?? '');
  const said = vary.includes('*') || vary.includes('accept-encoding');
  return said ? text : `${text}Vary: Accept-Encoding\r\n`;
}

function coded(text: string, fields: Fields, coding: Coding): string {
  const lines = text.split('\r\n').flatMap((line) => {
    const name = splitField(line)?.name ?? '';
    if (dropped.has(name)) return [];
    // The same representation, not the same bytes (RFC 9110, 8.8.1).
    return name === 'etag' ? line.replace(/:[ \t]*"/, ': W/"') : line;
  });
  return `${withVary(lines.join('\r\n'), fields)}Content-Encoding: ${coding}\r\n`;
}

const dropped: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'accept-ranges',
]);
