import { expect, test } from 'vitest';
import { staleRules } from './podman-leftovers.ts';

const chain = 'NETAVARK-HOSTPORT-DNAT';
const rule = (network: string, id: string): string =>
  `-A ${chain} -p tcp -m tcp --dport 40049 -m comment --comment "dnat name: ${network} id: ${id}" -j NETAVARK-DN-79`;
const listed = ['podgate-default-1', 'try', 'podman', 'other-podgate-1']
  .map((network, i) => rule(network, `${i}abc`))
  .join('\n');

test('rules are stale whose container has no monitor, on networks of ours only', () => {
  const stale = staleRules(`-N ${chain}\n${listed}\n`, ['conmon\0-c\x001abc\0']);
  const words = `${chain} -p tcp -m tcp --dport 40049 -m comment --comment`.split(' ');
  const comment = 'dnat name: podgate-default-1 id: 0abc';
  expect(stale).toEqual([[...words, comment, '-j', 'NETAVARK-DN-79']]);
  expect(staleRules('', [])).toEqual([]);
});
