import { expect, test } from 'vitest';
import { parseReference, tagTimestamp } from './reference.ts';

test.each([
  ['neo4j', 'neo4j', 'latest', undefined],
  ['neo4j:v1.2-x', 'neo4j', 'v1.2-x', undefined],
  ['neo4j:latest@2025-01-30-17:14:14', 'neo4j', 'latest', 'latest@2025-01-30-17:14:14'],
])('%s', (text, templateId, tag, timestamp) => {
  expect(parseReference(text)).toEqual({ templateId, tag, timestamp });
});

test.each([
  '',
  'neo4j@2025-01-30-17:14:14',
  'neo4j:',
  'neo4j:a:b',
  'neo4j:latest@yesterday',
  'Neo4j',
  'x',
  'neo4j:latest@2025-01-30-17:14:14 ',
  `neo4j:${'a'.repeat(81)}`,
])('%j is none', (text) => {
  expect(parseReference(text)).toBeUndefined();
});

test('a timestamp is the tag and the second in UTC', () => {
  expect(tagTimestamp('latest', Date.UTC(2025, 0, 30, 17, 14, 14, 999))).toBe(
    'latest@2025-01-30-17:14:14',
  );
});
