import { weightsOf } from '../http1/fields.ts';

/**
 * Whether who accepts this (RFC 9110, 12.5.1) is better served with a page than with JSON: browsers
 * name HTML, programs do not.
 */
export function wantsHtml(accept: string): boolean {
  if (!/html/i.test(accept)) return false;
  const weights = weightsOf(accept);
  const weight = (type: string): number => weights.get(type) ?? 0;
  const html = Math.max(weight('text/html'), weight('application/xhtml+xml'));
  return html > 0 && html >= weight('application/json');
}
