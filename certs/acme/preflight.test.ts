import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { caaProblem, publicPreflight } from './preflight.ts';

const records: Record<string, object[]> = {
  'example.org': [{ issue: 'ca.example' }, { issuewild: 'wild.example; policy=x' }],
  'free.example.org': [{ iodef: 'mailto:a@example.org' }],
};
const resolve = (name: string) => Promise.resolve(records[name] ?? []);

test.each([
  ['a.pods.example.org', 'ca.example', undefined],
  ['a.pods.example.org', 'other.example', /example.org do not allow other.example/],
  ['*.pods.example.org', 'wild.example', undefined],
  ['*.pods.example.org', 'ca.example', /do not allow/],
  ['a.free.example.org', 'other.example', undefined],
  ['a.example.net', 'other.example', undefined],
])('for %s the closest CAA records decide about %s', async (host, identity, problem) => {
  const found = await caaProblem(host, [identity], resolve);
  if (problem) expect(found).toMatch(problem);
  else expect(found).toBeUndefined();
});

test('a token is looked for as an authority looks for it', async () => {
  const server = createServer((request, response) => {
    response.end(request.url?.endsWith('/right') ? 'right.thumb\n' : 'else');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const preflight = publicPreflight(`127.0.0.1:${port}`);
  const challenge = { kind: 'http-01' as const, host: 'a.example', expiresAtMs: 0 };
  const ask = (token: string) =>
    preflight.answered({ ...challenge, token, keyAuthorization: `${token}.thumb` });
  expect(await ask('right')).toBeUndefined();
  expect(await ask('wrong')).toMatch(/answers another text/);
  server.close();
  server.closeAllConnections();
  expect(await ask('right')).toMatch(/cannot be reached/);
});
