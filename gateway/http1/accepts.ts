import { listOf } from './fields.ts';

/**
 * Whether who accepts this (RFC 9110, 12.5.1) is better served with a page than with JSON: browsers
 * name HTML, programs do not.
 */
export function wantsHtml(accept: string): boolean {
  if (!/html/i.test(accept)) return false;
  const html = Math.max(weightOf(accept, 'text/html'), weightOf(accept, 'application/xhtml+xml'));
  return html > 0 && html >= weightOf(accept, 'application/json');
}

/** The weight of a media type that is named, 0 when it is not. */
function weightOf(accept: string, type: string): number {
  for (const member of listOf(accept)) {
    const [name, ...parameters] = member.split(';').map((part) => part.trim());
    if (name !== type) continue;
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return weight === undefined ? 1 : Number(weight) || 0;
  }
  return 0;
}
