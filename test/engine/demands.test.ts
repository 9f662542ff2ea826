import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone, until } from '../integration/standalone.ts';
import { busyboxImage } from '../programs/images.ts';
import { Podman } from '../programs/podman.ts';
import { available } from '../programs/run.ts';

const podman = await available('images with a health check', () => Podman.start());

const minute = 60_000;
const image = 'localhost/checked:1';
const containerfile = `FROM ${busyboxImage}
HEALTHCHECK --interval=1h --retries=1 CMD cat /tmp/healthy || { echo no cake; exit 1; }
CMD while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nok' | nc -l -p 5000; done
`;

describe.skipIf(!podman)('what a pod demands of its engine', () => {
  let podgate: Standalone;

  beforeAll(async () => {
    if (!podman) return;
    const file = join(podman.folder, 'Containerfile');
    writeFileSync(file, containerfile);
    await podman.run('build', '--format', 'docker', '-t', image, '-f', file, podman.folder);
    podgate = await Standalone.start({ env: { DOCKER_HOST: podman.host } });
    const list = [image, busyboxImage].map((each) => ({
      image: each.slice(0, -2),
      tenants: ['*'],
    }));
    expect((await podgate.call('POST', '/v3/pods/images/bulk', list)).status).toBeLessThan(300);
  });
  afterAll(async () => {
    await podgate?.stopAndForget();
    await podman?.stop();
  });

  const says = (podId: string, text: RegExp): Promise<void> => {
    let last = '';
    return until(
      async () => {
        const { envelope } = await podgate.call('GET', `/v3/pods/${podId}`);
        return text.test((last = JSON.stringify(envelope.result['status_container'])));
      },
      () => `${podId} to say ${text}: ${last}`,
      minute,
    );
  };

  test('a health check of its image that fails keeps it from being AVAILABLE', async () => {
    await podgate.pod({ pod_id: 'checked', image }, minute);
    const [container = ''] = ((await podman?.run('ps', '-q')) ?? '').trim().split('\n');
    // There is no systemd here, whose timers would have Podman run it.
    const check = (): Promise<unknown> =>
      podman?.run('healthcheck', 'run', container).catch(() => undefined) ?? Promise.resolve();
    await check();
    await says('checked', /health check of its image fails: .*no cake/);
    await podgate.state('checked', 'CREATING', minute);
    await podman?.run('exec', container, 'touch', '/tmp/healthy');
    await check();
    await podgate.state('checked', 'AVAILABLE', minute);
    await podgate.call('DELETE', '/v3/pods/checked');
  });

  test('GPUs of a Podman that cannot be asked for them are an ERROR that says so', async () => {
    const resources = { gpus: 1 };
    const pod = { pod_id: 'artist', image: busyboxImage, resources };
    expect((await podgate.call('POST', '/v3/pods', pod)).status).toBeLessThan(300);
    await podgate.state('artist', 'ERROR', minute);
    await says(
      'artist',
      /resources\.gpus is 1, and the Docker API of Podman \S+ cannot ask for GPUs; .*Podman 5\.4/,
    );
  });
});
