import type { Page } from './pages.ts';

/** How a page feels: it passes by itself, it rests, or something is wrong. */
type Mood = 'wait' | 'rest' | 'fault';

const moodOf = ({ status, retryAfter, code }: Page): Mood => {
  if (retryAfter !== undefined && status === 503) return 'wait';
  return /^EDGE_POD_(STOPPED|COMPLETE)$/.test(code) || status < 400 ? 'rest' : 'fault';
};

// What others wrote becomes text: no markup, no control characters.
const escaped = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const style = `
:root{color-scheme:light dark;--page:#eef1f5;--card:#fff;--text:#17202b;--soft:#5b6878;--line:#dbe1e8}
.wait{--hue:#2563c9}.rest{--hue:#5b6878}.fault{--hue:#b3362b}
@media(prefers-color-scheme:dark){:root{--page:#0f1318;--card:#191f27;--text:#e4e9ef;--soft:#93a1b1;
--line:#2b333d}.wait{--hue:#6ea0ff}.rest{--hue:#93a1b1}.fault{--hue:#ff8a7a}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--page);
color:var(--text);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:33rem;background:var(--card);border:1px solid var(--line);border-radius:14px;
overflow:hidden;box-shadow:0 8px 30px #0000000f}
.bar{height:4px;background:var(--hue)}
.wait .bar{background:linear-gradient(90deg,transparent,var(--hue),transparent) 0/40% 100% no-repeat,
var(--line);animation:go 1.6s ease-in-out infinite}
@keyframes go{from{background-position:-60% 0,0}to{background-position:160% 0,0}}
@media(prefers-reduced-motion:reduce){.wait .bar{animation:none;background:var(--hue)}}
section{padding:2rem 2rem 1.5rem}
.tag{display:inline-block;margin:0 0 .75rem;color:var(--hue);font-size:.8rem;font-weight:600;
letter-spacing:.04em;text-transform:uppercase}
h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25;text-wrap:balance}
p{margin:.5rem 0;overflow-wrap:anywhere}
.soft{color:var(--soft);font-size:.9rem}
footer{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;padding:.9rem 2rem;border-top:1px solid
var(--line);color:var(--soft);font-size:.8rem}
code{font:.8rem ui-monospace,SFMono-Regular,Menlo,monospace}`;

const tags: Readonly<Record<Mood, string>> = {
  wait: 'One moment',
  rest: 'Not running',
  fault: 'Not reachable',
};

const tagOf = ({ status }: Page, mood: Mood): string =>
  status >= 400 && status < 500 ? `Error ${status}` : status < 400 ? 'Moved' : tags[mood];

/** A page for people: whole in itself, without scripts, light and dark. */
export function htmlOf(page: Page): string {
  const { title, message, code, retryAfter, location } = page;
  const mood = moodOf(page);
  const again = retryAfter !== undefined;
  const refresh = again ? `<meta http-equiv="refresh" content="${retryAfter}">` : '';
  const note = again ? '<p class="soft">This page tries again by itself.</p>' : '';
  const link = location ? `<p><a href="${escaped(location)}">${escaped(location)}</a></p>` : '';
  return `<!doctype html>
<html lang="en" class="${mood}"><head><meta charset="utf-8">${refresh}
<meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(title)}</title>
<style>${style}</style></head>
<body><main><div class="bar"></div><section><div class="tag">${tagOf(page, mood)}</div>
<h1>${escaped(title)}</h1><p>${escaped(message)}</p>${link}${note}</section>
<footer><span>Podgate</span><code>${code}</code></footer></main></body></html>
`;
}
