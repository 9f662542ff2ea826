import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { parseResponseHead } from '../http1/response-head.ts';
import type { Page } from '../pages/pages.ts';
import { grpcHead } from '../pages/grpc.ts';
import { renderPage } from '../pages/pages.ts';

const endOfHead = '\r\n\r\n';

/** A page as an answer: the same bytes as in HTTP/1.1, read back by the parser of that. */
export function pageAnswer(
  page: Page,
  request: RequestHead | undefined,
): { readonly head: ResponseHead; readonly body: Buffer } {
  if (request?.grpc)
    return { head: { ...parsed(grpcHead(page), page), framing: 'none' }, body: Buffer.alloc(0) };
  const html = request?.wantsHtml === true;
  const method = request?.method ?? 'GET';
  const text = renderPage(page, { html, head: method === 'HEAD', keepAlive: true });
  const end = text.indexOf(endOfHead);
  const head = parsed(text.slice(0, end), page, method);
  return { head, body: Buffer.from(text.slice(end + endOfHead.length), 'latin1') };
}

function parsed(text: string, { code }: Page, method = 'GET'): ResponseHead {
  const head = parseResponseHead(text, method);
  if (!head) throw new Error(`the page ${code} is no answer`);
  return head;
}
