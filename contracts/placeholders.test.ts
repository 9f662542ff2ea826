import { expect, test } from 'vitest';
import { fillPlaceholders } from './placeholders.ts';

const credentials = {
  userUsername: 'mypod',
  userPassword: 'a$&b<<TAPIS_user_username>>',
  podHost: 'mypod.pods.example.org',
};

test.each([
  [
    'both names',
    '<<TAPIS_user_username>>/<<TAPIS_user_password>>',
    `mypod/${credentials.userPassword}`,
  ],
  ['the address', '<<TAPIS_pod_host>>:443', 'mypod.pods.example.org:443'],
  ['the older spelling', '<<tapissecret_user_username>>', 'mypod'],
  ['single brackets, as the documentation writes them', '<TAPIS_user_username>', 'mypod'],
  ['a name that does not exist', 'a<<TAPIS_constructor>>b<TAPIS_x>c', 'abc'],
  ['what is no placeholder', '<<OTHER>> <b> 1 << 2', '<<OTHER>> <b> 1 << 2'],
])('%s', (_name, text, want) => {
  expect(fillPlaceholders(text, credentials)).toBe(want);
});
