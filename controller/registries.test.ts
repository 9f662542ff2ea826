import { expect, test } from 'vitest';
import { parseRegistries, registryOf } from './registries.ts';

test.each([
  ['postgres', 'docker.io'],
  ['library/postgres:15', 'docker.io'],
  ['docker.io/library/postgres', 'docker.io'],
  ['index.docker.io/library/postgres', 'docker.io'],
  ['ghcr.io/a/b@sha256:00', 'ghcr.io'],
  ['localhost/a', 'localhost'],
  ['registry:5000/a:1', 'registry:5000'],
])('the image %s is fetched from %s', (image, server) => {
  expect(registryOf(image)).toBe(server);
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('the file of a login gives credentials by server', () => {
  const auths = {
    'https://index.docker.io/v1/': { auth: base64('ada:pass:word') },
    'ghcr.io': { auth: base64('bob:secret') },
    'quay.io': {},
  };
  const found = parseRegistries(JSON.stringify({ auths, credsStore: 'desktop' }));
  expect([...found.values()]).toEqual([
    { server: 'docker.io', username: 'ada', password: 'pass:word' },
    { server: 'ghcr.io', username: 'bob', password: 'secret' },
  ]);
});

test.each([
  ['no JSON', '{', /auths/],
  ['something else', '{"auths":{"a":1}}', /auths/],
  ['no credentials', `{"auths":{"ghcr.io":{"auth":"${base64('hunter2')}"}}}`, /ghcr.io/],
])('a file with %s is refused without repeating it', (_name, text, problem) => {
  expect(() => parseRegistries(text)).toThrow(problem);
  expect(() => parseRegistries(text)).not.toThrow(/hunter2/);
});
