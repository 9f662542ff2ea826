import { expect, test } from 'vitest';
import { encryptionRequest, errorResponse, sqlStates } from './postgres.ts';

test.each<[string, 'ssl' | 'gss' | 'other']>([
  ['0000000804d2162f', 'ssl'],
  ['0000000804d21630', 'gss'],
  ['0000001004d2162e', 'other'],
  ['0000000904d2162f', 'other'],
  ['0000000800030000', 'other'],
  [Buffer.from('GET / HT').toString('hex'), 'other'],
])('%s is %s', (hex, kind) => {
  expect(encryptionRequest(Buffer.from(hex, 'hex'))).toBe(kind);
});

test('an error is framed as the protocol has it', () => {
  const message = errorResponse(sqlStates.cannotConnectNow, 'Dormant \u2014 start it.');
  expect(message.toString('latin1', 0, 1)).toBe('E');
  expect(message.readInt32BE(1)).toBe(message.length - 1);
  const fields = message.toString('utf8', 5).split('\0');
  expect(fields).toEqual(['SFATAL', 'VFATAL', 'C57P03', 'MDormant \u2014 start it.', '', '']);
});
