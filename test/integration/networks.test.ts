import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Standalone } from './standalone.ts';

let podgate: Standalone;
beforeAll(async () => {
  podgate = await Standalone.start();
});
afterAll(() => podgate.stopAndForget());

test('two networks of one pod have an address each: one http, one tcp', async () => {
  await podgate.pod({
    pod_id: 'both',
    image: 'podgate/hello',
    environment_variables: { HELLO_TCP: 'echo' },
    networking: {
      default: { protocol: 'http', port: 8000 },
      echo: { protocol: 'tcp', port: 9000 },
    },
  });
  expect((await podgate.request('both.pods.localhost', '/')).status).toBe(200);

  const { envelope } = await podgate.call('GET', '/v3/pods/both');
  expect(envelope.result['networking']).toMatchObject({
    echo: { protocol: 'tcp', url: 'both-echo.pods.localhost' },
  });
  const socket = podgate.connect('both-echo.pods.localhost');
  await once(socket, 'secureConnect');
  socket.write('over tcp\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toContain('over tcp');

  // Half-close: our end is seen by the pod, what it still says arrives.
  socket.end('last words\n');
  let rest = '';
  for await (const chunk of socket) rest += String(chunk);
  expect(rest).toContain('last words');
});
