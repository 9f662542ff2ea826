import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { parseResponseHead } from '../http1/response-head.ts';
import type { Page } from '../pages/pages.ts';
import { grpcHead } from '../pages/grpc.ts';
import { renderPage } from '../pages/render.ts';

const endOfHead = '\r\n\r\n';

/** A page as an answer: the same bytes as in HTTP/1.1, read back by the parser of that. */
export function pageAnswer(
  page: Page,
  request: RequestHead | undefined,
): { readonly head: ResponseHead; readonly body: Buffer } {
  if (request?.grpc)
    return { head: { ...parsed(grpcHead(page), page), framing: 'none' }, body: Buffer.alloc(0) };
  const bytes = renderPage(page, request, true);
  const end = bytes.indexOf(endOfHead);
  const head = parsed(bytes.toString('latin1', 0, end + 2), page, request?.method);
  return { head, body: bytes.subarray(end + endOfHead.length) };
}

function parsed(text: string, { code }: Page, method = 'GET'): ResponseHead {
  const head = parseResponseHead(text, method);
  if (!head) throw new Error(`the page ${code} is no answer`);
  return head;
}
