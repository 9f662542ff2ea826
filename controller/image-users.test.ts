import { expect, test } from 'vitest';
import { knownUserOf } from './image-users.ts';

test.each([
  ['postgres', 999],
  ['postgres:17', 999],
  ['docker.io/library/postgres:17@sha256:00', 999],
  ['index.docker.io/library/neo4j:5', 7474],
  ['library/mongo', 999],
  ['postgres:17-alpine', 70],
  ['mongo:8-alpine', null],
  ['nginx', null],
  ['somebody/postgres:17', null],
  ['ghcr.io/library/postgres', null],
  ['localhost/postgres:17', null],
])('the image %s becomes %s', (image, user) => {
  expect(knownUserOf(image)).toBe(user);
});
