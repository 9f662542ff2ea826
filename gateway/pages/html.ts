import { createHash } from 'node:crypto';
import type { Page, Sign } from './pages.ts';
import { retrySeconds } from './pages.ts';

/** How it stands with each of the three on the way: the visitor, the gateway, the pod. */
type Mark = 'ok' | 'wait' | 'off' | 'done' | 'late' | 'bad' | 'none' | 'blank';

const trails: Readonly<Record<Sign, readonly [Mark, Mark, Mark]>> = {
  waiting: ['ok', 'ok', 'wait'],
  resting: ['ok', 'ok', 'off'],
  done: ['ok', 'ok', 'done'],
  late: ['ok', 'ok', 'late'],
  broken: ['ok', 'ok', 'bad'],
  nowhere: ['ok', 'ok', 'none'],
  barred: ['ok', 'bad', 'blank'],
  yours: ['bad', 'ok', 'blank'],
};

// In a square of 24, drawn with round ends.
const drawings: Readonly<Record<Mark, string>> = {
  ok: 'M6 12.5l4 4 8-9',
  wait: 'M6 12h.01M12 12h.01M18 12h.01',
  off: 'M9 7v10M15 7v10',
  done: 'M6 12.5l4 4 8-9',
  late: 'M12 6v6l4 3',
  bad: 'M7 7l10 10M17 7L7 17',
  none: 'M9 9.5a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.1-1.5 2.1M12 17.5h.01',
  blank: '',
};

const style = `:root{color-scheme:light dark;--back:#f3f5f8;--card:#fff;--ink:#16202c;--dim:#5b6878;--line:#d9e0e8;--ok:#15803d;--wait:#b45309;--bad:#c62828}
@media(prefers-color-scheme:dark){:root{--back:#0e1217;--card:#171d25;--ink:#e8edf3;--dim:#98a6b6;--line:#303a47;--ok:#4ade80;--wait:#fbbf24;--bad:#f87171}}
*{box-sizing:border-box;margin:0}
body{min-height:100vh;min-height:100svh;display:grid;grid-template-columns:minmax(0,34rem);place-content:center;gap:1.1rem;padding:1.25rem;text-align:center;text-wrap:balance;background:var(--back);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
main{position:relative;overflow:hidden;padding:2rem clamp(1.25rem,6vw,2.5rem) 2.1rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;box-shadow:0 1rem 2.5rem -1.5rem #0006}
ol{display:flex;padding:0;margin-bottom:1.9rem;list-style:none;font-size:.8rem;color:var(--dim)}
li{flex:1;position:relative}
li+li:before{content:"";position:absolute;top:1.3rem;left:calc(2rem - 50%);right:calc(50% + 2rem);border-top:2px solid var(--line);border-radius:1px}
svg{display:block;width:2.75rem;height:2.75rem;margin:0 auto .4rem;padding:.43rem;border:2px solid;border-radius:50%;background:color-mix(in srgb,currentColor 9%,transparent);fill:none;stroke:currentColor;stroke-width:2.2;stroke-linecap:round;stroke-linejoin:round}
.wait{stroke-width:3.2}
.ok{color:var(--ok)}.wait,.late{color:var(--wait)}.bad{color:var(--bad)}.none,.blank{border-style:dashed;background:0}.blank{color:var(--line)}
h1{margin-bottom:.2rem;font-size:1.5rem;line-height:1.25;letter-spacing:-.015em}
code{font:.875rem ui-monospace,Menlo,Consolas,monospace;color:var(--dim);overflow-wrap:anywhere}
p{margin-top:.9rem;overflow-wrap:anywhere}
small{font-size:.8rem;color:var(--dim)}
.bar{position:absolute;top:0;left:0;width:100%;height:3px;background:var(--wait);transform-origin:0;animation:fill ${retrySeconds}s linear both}
@keyframes fill{from{transform:scaleX(0)}}
@media(prefers-reduced-motion:reduce){.bar{animation:none}}`;

/** For the Content-Security-Policy: this style and nothing else. */
export const styleSource = `'sha256-${createHash('sha256').update(style).digest('base64')}'`;

/** A page for people. `reloads`: it may ask again by itself, as that changes nothing. */
export function htmlOf(page: Page, host: string | undefined, reloads: boolean): string {
  const { title, message, code, status, retryAfter, sign } = page;
  const waits = retryAfter !== undefined;
  const refresh = waits && reloads ? `\n<meta http-equiv="refresh" content="${retryAfter}">` : '';
  const bar = refresh === '' ? '' : '<div class="bar"></div>\n';
  const next = reloads ? 'This page tries again by itself.' : 'Send it again in a moment.';
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">${refresh}
<title>${escaped(title)}</title>
<style>${style}</style>
<main>
${bar}${sign ? trailOf(sign) : ''}<h1>${escaped(title)}</h1>
${host === undefined || message.includes(host) ? '' : `<code>${escaped(host)}</code>\n`}<p dir="auto">${escaped(message)}</p>
${waits ? `<p><small>${next}</small></p>\n` : ''}</main>
<small>Podgate &middot; ${status} &middot; ${code}</small>
</html>
`;
}

/** For the eye alone: the text says the same. */
function trailOf(sign: Sign): string {
  const names = ['You', 'Gateway', 'Pod'];
  const stops = trails[sign].map(
    (mark, at) =>
      `<li><svg class="${mark}" viewBox="0 0 24 24"><path d="${drawings[mark]}"/></svg>${names[at]}</li>`,
  );
  return `<ol aria-hidden="true">${stops.join('')}</ol>\n`;
}

// What others wrote becomes text: no markup, no control characters.
const escaped = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
