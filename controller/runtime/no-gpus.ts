/**
 * What NVIDIA's runtime reads, also from an image: where a machine has it for all containers, images
 * made with CUDA would have all GPUs without asking. Nothing for a pod that wants some.
 */
export const noGpus = (gpus: number): Readonly<Record<string, string>> =>
  gpus === 0 ? { NVIDIA_VISIBLE_DEVICES: 'void' } : {};
