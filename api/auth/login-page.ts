import { createHash } from 'node:crypto';

/** The page on which a user says who they are to a client. */

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; }
main { width: min(22rem, 100vw - 2rem); }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
label { display: block; margin-top: 1rem; }
input { box-sizing: border-box; width: 100%; margin-top: .25rem; padding: .5rem; font: inherit; }
button { margin-top: 1.5rem; width: 100%; padding: .6rem; font: inherit; font-weight: 600; }
[role=alert] { margin-top: 1rem; padding: .5rem .75rem; border-left: .25rem solid #c33; }
`;

const styleHash = createHash('sha256').update(style).digest('base64');

export interface LoginForm {
  /** What the client is called. */
  readonly client: string;
  /** Who made the client. */
  readonly owner: string;
  readonly tenant: string;
  /** Where the answer goes: shown, since it says who really asks. */
  readonly redirectUri: string;
  readonly hidden: Readonly<Record<string, string>>;
  readonly username: string;
  readonly error: string | undefined;
}

/** Nothing from elsewhere, no frame around it, and it posts here or on to the client alone. */
export const pageHeaders = (redirectUri: string): Record<string, string> => ({
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${styleHash}'`,
    // Browsers hold redirects after a form to this too.
    `form-action 'self' ${new URL(redirectUri).origin}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
});

export function loginPage({ client, owner, tenant, redirectUri, ...form }: LoginForm): string {
  const hidden = Object.entries(form.hidden).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`,
  );
  const alert = form.error === undefined ? '' : `<p role="alert">${escaped(form.error)}</p>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in - Podgate</title>
<style>${style}</style>
<main>
<h1>Log in to ${escaped(client)}</h1>
<p>as a user of ${escaped(tenant)}. You will go on to ${escaped(new URL(redirectUri).host)}.</p>
<p>This program was registered by <b>${escaped(owner)}</b> and will be able to do all that you can.
Go on only if you trust it.</p>
${alert}
<form method="post">
${hidden.join('\n')}
<label>Username <input name="username" autocomplete="username" required autofocus value="${escaped(form.username)}"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
</main>
</html>
`;
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');
