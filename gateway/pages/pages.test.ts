import { describe, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import type { Page } from './pages.ts';
import { pages, podPage, renderPage } from './pages.ts';

const hostile = `</p><script>alert("1")</script>'&\r\nSet-Cookie: a=b\u2028\u00e9`;
const json = { html: false, head: false, keepAlive: true };
const html = { ...json, html: true };

/** A character of a response is a byte, and its body is text in UTF-8. */
const bodyOf = (response: string): string =>
  Buffer.from(split(response).body, 'latin1').toString('utf8');

function split(response: string): { head: string; body: string } {
  const end = response.indexOf('\r\n\r\n');
  return { head: response.slice(0, end), body: response.slice(end + 4) };
}

const route: Route = {
  host: 'a.test',
  tenant: 'default',
  pod: 'a',
  network: 'default',
  protocol: 'http',
  state: 'failed',
  message: hostile,
  upstream: null,
};

test('what others wrote cannot become markup', () => {
  const { body } = split(renderPage(podPage(route), html));
  expect(body).not.toContain('<script');
  expect(body).toContain(
    '&#60;/p&#62;&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#39;&#38;',
  );
});

test('what others wrote cannot break out of JSON or into the head', () => {
  const { head } = split(renderPage(podPage(route), json));
  expect(head).not.toContain('Set-Cookie');
  expect(JSON.parse(bodyOf(renderPage(podPage(route), json)))).toEqual({
    code: 'EDGE_POD_FAILED',
    status: 'error',
    message: hostile,
  });
});

describe('every page', () => {
  const all: Page[] = [
    pages.unknownHost('a.test'),
    pages.misdirected,
    pages.notHttp('postgres'),
    ...[400, 405, 414, 431, 501, 505].map((status) => pages.refused(status, hostile)),
    pages.moved('https://a.test/x'),
    pages.badGateway,
    pages.timeout,
    pages.clientTimeout,
    ...(['starting', 'stopping', 'stopped', 'failed', 'complete'] as const).map((state) =>
      podPage({ ...route, state }),
    ),
  ];

  test.each(all.map((page) => [page.status, page.code, page] as const))(
    '%i %s has a reason, the right length, and no body for HEAD',
    (status, code, page) => {
      for (const options of [json, html]) {
        const { head, body } = split(renderPage(page, options));
        expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z][\\w -]+\r\n`));
        expect(head).toContain(`Content-Length: ${body.length}\r\n`);
        expect(body.length).toBeLessThan(4096);
        expect(head).toContain('Cache-Control: no-store');
        expect(body).toContain(code);
        expect(renderPage(page, { ...options, head: true })).toBe(`${head}\r\n\r\n`);
      }
    },
  );
});

test('text of any language is shown as it was written', () => {
  const page = podPage({ ...route, message: 'Läuft gleich — 準備中' });
  expect(bodyOf(renderPage(page, html))).toContain('<p>Läuft gleich — 準備中</p>');
  expect(JSON.parse(bodyOf(renderPage(page, json)))).toMatchObject({
    message: 'Läuft gleich — 準備中',
  });
});

test('a page that passes says when to come back, to browsers too', () => {
  const starting = podPage({ ...route, state: 'starting', message: '' });
  expect(renderPage(starting, html)).toContain('\r\nRetry-After: 1\r\n');
  expect(renderPage(starting, html)).toContain('http-equiv="refresh" content="1"');
  expect(renderPage(podPage(route), html)).not.toMatch(/retry-after|refresh/i);
});

test('a browser at a database learns which client to use', () => {
  expect(renderPage(pages.notHttp('postgres'), html)).toMatch(/psql .*sslmode=verify-full/);
  expect(renderPage(pages.notHttp('tcp'), json)).toContain('tcp over TLS');
});

test('405 names what is allowed, 308 where to go, and the end of a connection is told', () => {
  expect(renderPage(pages.refused(405, 'x'), json)).toMatch(/\r\nAllow: GET, /);
  expect(renderPage(pages.moved('https://a.test/x'), json)).toContain(
    '\r\nLocation: https://a.test/x\r\n',
  );
  expect(renderPage(pages.timeout, json)).toContain('\r\nConnection: keep-alive\r\n');
  expect(renderPage(pages.timeout, { ...json, keepAlive: false })).toContain(
    '\r\nConnection: close\r\n',
  );
});
