import { describe, expect, test } from 'vitest';
import { spec } from '../../../test/conformance/runtime.ts';
import { parseEngineAddress } from './address.ts';
import { containerOf } from './container.ts';
import { textOf } from './copy-file.ts';
import { gpuWay } from './gpu-way.ts';
import { fullReference } from './images.ts';
import { PullProgress } from './pull-progress.ts';

const site = {
  installation: 'i',
  root: '/data',
  engine: { name: 'Docker', version: '20', gpuWay: null },
} as const;
const image = { id: 'sha256:1', user: '' };

describe('what an engine is asked for', () => {
  test('is a program without root, capabilities or ways to more, within its limits', () => {
    const { User: user, HostConfig: host } = containerOf(spec({ image: 'a' }), image, site);
    expect(user).toBe('65532:65532');
    expect(host).toMatchObject({
      CapDrop: ['ALL'],
      CapAdd: [],
      SecurityOpt: ['no-new-privileges'],
      NanoCpus: 2_000_000_000,
      Memory: 512 * 1024 * 1024,
      MemorySwap: 512 * 1024 * 1024,
    });
  });

  test.each([
    ['999', undefined],
    ['postgres', undefined],
    ['', '65532:65532'],
    ['0', '65532:65532'],
    ['00:999', '65532:65532'],
    ['+0', '65532:65532'],
    ['root:root', '65532:65532'],
  ])('an image of the user %s', (user, asked) => {
    expect(containerOf(spec({}), { ...image, user }, site).User).toBe(asked);
  });

  test('an image that becomes somebody by itself is begun as that user', () => {
    const privileges = { root: false, user: 999, capabilities: [] };
    expect(containerOf(spec({ privileges }), image, site).User).toBe('999:999');
    const own = { ...image, user: 'postgres' };
    expect(containerOf(spec({ privileges }), own, site).User).toBeUndefined();
  });

  test('an operator may allow root and capabilities', () => {
    const privileges = { root: true, user: 999, capabilities: ['CHOWN'] };
    const { User: user, HostConfig: host } = containerOf(spec({ privileges }), image, site);
    expect(user).toBeUndefined();
    expect(host).toMatchObject({ CapDrop: ['ALL'], CapAdd: ['CHOWN'] });
  });

  test('publishes on the loopback, and nothing that only pods may reach', () => {
    const networks = [
      { name: 'default', protocol: 'http', port: 80 },
      { name: 'db', protocol: 'local_only', port: 5432 },
    ] as const;
    const made = containerOf(spec({ networks }), image, site);
    expect(made.HostConfig?.PortBindings).toEqual({
      '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }],
    });
    expect(Object.values(made.NetworkingConfig?.EndpointsConfig ?? {})).toEqual([
      { Aliases: ['pod'] },
    ]);
  });

  test.each([
    [{ command: ['a', '$(PORT)'] }, { Entrypoint: ['a', '5000'], Cmd: [] }],
    [{ arguments: ['b'] }, { Cmd: ['b'] }],
    [
      { command: ['a'], arguments: ['b'] },
      { Entrypoint: ['a'], Cmd: ['b'] },
    ],
  ])('replaces of the image what Kubernetes would: %j', (change, want) => {
    const networks = [{ name: 'default', protocol: 'http', port: 5000 }] as const;
    expect(containerOf(spec({ networks, ...change }), image, site)).toMatchObject(want);
  });

  test('is refused when it cannot be', () => {
    const gpus = { ...spec({}).resources, gpus: 1 };
    const engine = { name: 'Podman', version: '4.3.1', gpuWay: null } as const;
    expect(() => containerOf(spec({ resources: gpus }), image, { ...site, engine })).toThrow(
      /resources\.gpus is 1, and the Docker API of Podman 4\.3\.1 cannot ask for GPUs/,
    );
    const networks = [{ name: 'web', protocol: 'http', port: 99_999 }] as const;
    expect(() => containerOf(spec({ networks }), image, site)).toThrow(/web is 99999/);
  });
});

test.each([
  ['Docker', '20.10.24', {}, 'count'],
  ['Docker', '26.1.5', { CDISpecDirs: [] }, 'count'],
  ['Docker', '26.1.5', { CDISpecDirs: ['/etc/cdi'] }, 'cdi'],
  ['Docker', '26.1.5', { CDISpecDirs: ['/etc/cdi'], Runtimes: { nvidia: {} } }, 'count'],
  ['Docker', '28.3.0', { CDISpecDirs: ['/etc/cdi'] }, 'count'],
  ['Docker', '28.3.0', { DiscoveredDevices: [{ ID: 'nvidia.com/gpu=0' }] }, 'cdi'],
  ['Docker', '28.3.0', { DiscoveredDevices: [{ ID: 'example.com/net=0' }] }, 'count'],
  ['Podman', '4.3.1', { Runtimes: { nvidia: {} } }, null],
  ['Podman', '5.3.2', {}, null],
  ['Podman', '5.4.0', {}, 'cdi'],
  ['Podman', '10.0.0', {}, 'cdi'],
] as const)('%s %s that says %j is asked for GPUs by %s', (name, version, info, way) => {
  expect(gpuWay(name, version, info)).toBe(way);
});

test.each([
  ['nginx', 'docker.io/library/nginx:latest'],
  ['a/b:1', 'docker.io/a/b:1'],
  ['index.docker.io/a/b', 'docker.io/a/b:latest'],
  ['ghcr.io/a/b@sha256:00', 'ghcr.io/a/b@sha256:00'],
  ['registry:5000/a', 'registry:5000/a:latest'],
  ['localhost/a:1', 'localhost/a:1'],
])('the image %s is %s to every engine', (written, full) => {
  expect(fullReference(written)).toBe(full);
});

test.each([
  ['unix:///run/x.sock', { socketPath: '/run/x.sock' }],
  ['tcp://127.0.0.1:2375', { host: '127.0.0.1', port: 2375 }],
  ['tcp://[::1]:2375', { host: '::1', port: 2375 }],
])('an engine may be at %s', (text, address) => {
  expect(parseEngineAddress(text)).toEqual(address);
});

test.each(['tcp://10.0.0.1:2375', 'ssh://host', '/run/x.sock', 'unix://x'])(
  'an engine cannot be at %s',
  (text) => expect(() => parseEngineAddress(text)).toThrow(/loopback/),
);

test('progress of a pull is counted over its layers', () => {
  const progress = new PullProgress();
  expect(progress.describe()).toBe('');
  const layer = (id: string, status: string, current?: number, total?: number): void =>
    progress.add({ id, status, progressDetail: { current, total } });
  layer('a', 'Downloading', 10_000_000, 40_000_000);
  layer('b', 'Downloading', 10_000_000, 10_000_000);
  expect(progress.describe()).toBe('40 % of 50 MB');
  layer('a', 'Download complete');
  layer('a', 'Extracting', 1, 40_000_000);
  expect(progress.describe()).toBe('100 % of 50 MB');
  progress.add({ error: 'manifest unknown' });
  expect(progress.error).toBe('manifest unknown');
});

test("Podman's file of output gives what the program wrote, and goes on where it did", () => {
  const at = '2026-11-30T08:26:40.913444633+00:00';
  const file = `${at} stdout F one two\n${at} stderr F \n${at} stdout P half\n${at} stdout F  line\n`;
  expect(textOf(Buffer.from(file)).toString()).toBe('one two\n\nhalf line\n');
});
