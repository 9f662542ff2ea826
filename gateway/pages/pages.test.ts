import { describe, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { styleSource } from './html.ts';
import type { Page } from './pages.ts';
import { noAnswerPage, pages, podPage } from './pages.ts';
import { renderPage } from './render.ts';

const hostile = `</p><script>alert("1")</script>'&\r\nSet-Cookie: a=b\u2028\u00e9`;
const json = { method: 'GET', host: 'a.test', accept: 'application/json' };
const html = { ...json, accept: 'text/html' };

const rendered = (page: Page, asker: typeof json | undefined, keepAlive = true): string =>
  renderPage(page, asker, keepAlive).toString('utf8');

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
  const { body } = split(rendered(podPage(route), html));
  expect(body).not.toContain('<script');
  expect(body).toContain(
    '&#60;/p&#62;&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#39;&#38;  Set',
  );
});

test('what others wrote cannot break out of JSON or into the head', () => {
  const { head, body } = split(rendered(podPage(route), json));
  expect(head).not.toContain('Set-Cookie');
  expect(JSON.parse(body)).toEqual({ code: 'EDGE_POD_FAILED', status: 'error', message: hostile });
});

test.each([
  ['HTML', html],
  ['JSON', json],
])('text beyond ASCII is told as it is, in %s', (_name, asker) => {
  const message = 'Der Pod läuft nicht: 停止 – später 🚀';
  const response = renderPage(podPage({ ...route, message }), asker, true);
  const { head, body } = split(response.toString('utf8'));
  expect(body).toContain(message);
  expect(head).toContain(`Content-Length: ${response.length - Buffer.byteLength(head) - 4}\r\n`);
});

const all: Page[] = [
  pages.unknownHost('a.test'),
  pages.misdirected,
  pages.notAllowed('192.0.2.7'),
  pages.notHttp('postgres'),
  ...[400, 405, 414, 431, 501, 505].map((status) => pages.refused(status, hostile)),
  pages.moved('https://a.test/x'),
  pages.unknownChallenge,
  noAnswerPage('refused'),
  noAnswerPage('timed out'),
  noAnswerPage(undefined),
  pages.badGateway,
  pages.timeout,
  pages.clientTimeout,
  ...(['starting', 'stopping', 'stopped', 'failed', 'complete'] as const).map((state) =>
    podPage({ ...route, state }),
  ),
];

describe('every page', () => {
  test.each(all.map((page) => [page.status, page.code, page] as const))(
    '%i %s has a reason, the right length, and no body for HEAD',
    (status, code, page) => {
      for (const asker of [json, html]) {
        const { head, body } = split(rendered(page, asker));
        expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z][\\w -]+\r\n`));
        expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}\r\n`);
        expect(head).toContain('Cache-Control: no-store');
        expect(body).toContain(code);
      }
      const { head, body } = split(rendered(page, { ...json, method: 'HEAD' }));
      expect([head, body]).toEqual([split(rendered(page, json)).head, '']);
    },
  );

  test('is small and needs nothing from anywhere', () => {
    for (const page of all) {
      const { head, body } = split(rendered(page, html));
      expect(Buffer.byteLength(body)).toBeLessThan(4096);
      expect(body).not.toMatch(/https?:(?!\/\/a\.test)|src=|url\(|@import/);
      expect(head).toContain(
        `\r\nContent-Security-Policy: default-src 'none'; style-src ${styleSource}\r\n`,
      );
    }
  });
});

test('a page that passes says when to come back; browsers do by themselves, if that is safe', () => {
  const starting = podPage({ ...route, state: 'starting', message: '' });
  expect(rendered(starting, html)).toContain('\r\nRetry-After: 2\r\n');
  expect(rendered(starting, html)).toContain('http-equiv="refresh" content="2"');
  const posted = rendered(starting, { ...html, method: 'POST' });
  expect(posted).toContain('\r\nRetry-After: 2\r\n');
  expect(posted).not.toContain('refresh');
  expect(rendered(podPage(route), html)).not.toMatch(/retry-after|refresh|by itself/i);
});

test('a request that cannot be read gets JSON', () => {
  expect(rendered(pages.refused(400, 'x'), undefined, false)).toMatch(/\r\n\r\n\{"message"/);
});

test('a browser at a database learns which client to use', () => {
  expect(rendered(pages.notHttp('postgres'), html)).toMatch(/psql .*sslmode=verify-full/);
  expect(rendered(pages.notHttp('tcp'), json)).toContain('tcp over TLS');
});

test('405 names what is allowed, 308 where to go, and the end of a connection is told', () => {
  expect(rendered(pages.refused(405, 'x'), json)).toMatch(/\r\nAllow: GET, /);
  expect(rendered(pages.moved('https://a.test/x'), json)).toContain(
    '\r\nLocation: https://a.test/x\r\n',
  );
  expect(rendered(pages.timeout, json)).toContain('\r\nConnection: keep-alive\r\n');
  expect(rendered(pages.timeout, json, false)).toContain('\r\nConnection: close\r\n');
});
