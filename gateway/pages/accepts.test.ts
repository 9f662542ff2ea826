import { expect, test } from 'vitest';
import { wantsHtml } from './accepts.ts';

test.each([
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', true],
  ['text/html', true],
  ['TEXT/HTML;level=1', true],
  ['application/json, text/html;q=0.5', false],
  ['text/html;q=0.5, application/json;q=0.5', true],
  ['text/html;q=0', false],
  ['text/html;q=1.5', false],
  ['*/*', false],
  ['application/json', false],
  ['', false],
])('Accept: %s', (accept, html) => {
  expect(wantsHtml(accept)).toBe(html);
});
