/** Which GPUs a container sees, as NVIDIA's runtime reads it: the last of that name, also an image's. */
const visible = 'NVIDIA_VISIBLE_DEVICES';

/**
 * Where a machine has that runtime for all containers, images made with CUDA would have all GPUs without
 * asking. Nothing for a pod that wants some.
 */
export const noGpus = (gpus: number): Readonly<Record<string, string>> =>
  gpus === 0 ? { [visible]: 'void' } : {};

/**
 * What a pod says of its environment, less which GPUs it sees: a kubelet has the pod's word count for more
 * than what was given to it.
 */
export const withoutGpuChoice = (
  environment: Readonly<Record<string, string>>,
): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => name !== visible));
