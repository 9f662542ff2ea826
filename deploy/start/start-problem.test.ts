import { once } from 'node:events';
import net from 'node:net';
import { expect, test } from 'vitest';
import { startProblem } from './start-problem.ts';

test.each([
  ['PODGATE_API_HOST', 'PODGATE_ADMIN_HOST'],
  ['PODGATE_ADMIN_HOST', 'PODGATE_API_HOST'],
])('an address that is not ours in %s is told by that name, not by %s', async (bad, good) => {
  const strange = '192.0.2.1'; // RFC 5737
  const [refused] = await once(net.createServer().listen(0, strange), 'error');
  const told = startProblem(refused, { [bad]: strange, [good]: '127.0.0.1' });
  expect(told).toMatch(new RegExp(`^${bad} is no address of this machine .*192\\.0\\.2\\.1`));
});

test('an address that no setting named is not blamed on one', async () => {
  const [refused] = await once(net.createServer().listen(0, '192.0.2.1'), 'error');
  expect(startProblem(refused, {})).toBeUndefined();
});
