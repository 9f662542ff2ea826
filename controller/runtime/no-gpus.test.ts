import { expect, test } from 'vitest';
import { spec } from '../../test/conformance/runtime.ts';
import { containerOf } from './engine/container.ts';
import { manifestsOf } from './kubernetes/manifests.ts';
import { Naming } from './kubernetes/names.ts';
import type { RunSpec } from './runtime.ts';

/** As NVIDIA's runtime reads it, the last of that name. */
const site = {
  root: '/data',
  installation: 'test',
  engine: { name: 'Docker', version: '26.1.0', gpuWay: 'count' },
} as const;
const asked = (gpus: number): RunSpec => {
  const { resources } = spec({});
  const environment = { NVIDIA_VISIBLE_DEVICES: 'all' };
  return spec({ environment, resources: { ...resources, gpus } });
};

const seenOn: Record<string, (gpus: number) => string | undefined> = {
  engine: (gpus) => {
    const { Env = [] } = containerOf(asked(gpus), { id: 'x', user: '' }, site);
    return Env.findLast((line) => line.startsWith('NVIDIA_VISIBLE_DEVICES='))?.split('=')[1];
  },
  kubernetes: (gpus) => {
    const { pod, secret } = manifestsOf(asked(gpus), new Naming('a', 'pods'));
    const env = pod.spec?.containers[0]?.env ?? [];
    const own = secret.data?.['NVIDIA_VISIBLE_DEVICES'];
    return env.find(({ name }) => name === 'NVIDIA_VISIBLE_DEVICES')?.value ?? own;
  },
};

test.each(Object.entries(seenOn))(
  'on %s a pod without GPUs sees none, and one with some those it is given, whatever it says',
  (_, seen) => {
    expect(seen(0)).toBe('void');
    expect(seen(1)).toBeUndefined();
  },
);
