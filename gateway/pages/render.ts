import { wantsHtml } from './accepts.ts';
import { htmlOf, styleSource } from './html.ts';
import type { Page } from './pages.ts';

/** Of a request, what its page depends on. */
export interface Asker {
  readonly method: string;
  readonly host: string;
  readonly accept: string;
}

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'URI Too Long',
  421: 'Misdirected Request',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

/**
 * A page as a whole HTTP/1.1 response: HTML for browsers, else JSON; without a body for HEAD. No
 * `asker`: the request could not be read.
 */
export function renderPage(page: Page, asker: Asker | undefined, keepAlive: boolean): Buffer {
  const connection = `Connection: ${keepAlive ? 'keep-alive' : 'close'}\r\n\r\n`;
  const start = `HTTP/1.1 ${page.status} ${reasons[page.status] ?? ''}\r\n${page.fields ?? ''}`;
  if (page.status === 204) return Buffer.from(`${start}${connection}`, 'latin1');
  const { type, body } = content(page, asker);
  const extra =
    (page.retryAfter === undefined ? '' : `Retry-After: ${page.retryAfter}\r\n`) +
    (page.location === undefined ? '' : `Location: ${page.location}\r\n`) +
    (page.status === 405 ? 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n' : '');
  const head = Buffer.from(
    `${start}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n` +
      'Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n' +
      `Content-Security-Policy: default-src 'none'; style-src ${styleSource}\r\n` +
      `${extra}${connection}`,
    'latin1',
  );
  return asker?.method === 'HEAD' ? head : Buffer.concat([head, body]);
}

function content(page: Page, asker: Asker | undefined): { type: string; body: Buffer } {
  if (page.text !== undefined) return { type: 'text/plain', body: Buffer.from(page.text) };
  if (!asker || !wantsHtml(asker.accept)) {
    return { type: 'application/json', body: Buffer.from(jsonOf(page)) };
  }
  const html = htmlOf(page, asker.host, asker.method === 'GET');
  return { type: 'text/html; charset=utf-8', body: Buffer.from(html) };
}

const jsonOf = ({ message, code }: Page): string =>
  `${JSON.stringify({ message, code, status: 'error' })}\n`;
