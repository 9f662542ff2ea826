import { join } from 'node:path';
import { goProgram } from '../programs/go.ts';

/** Of some 1,500 packages, on two cores that others use as well. */
const buildMs = 30 * 60_000;

/** A program of Kubernetes itself, built from source at first. They share most of what is compiled. */
export const kubernetesProgram = (
  name: 'kube-apiserver' | 'kube-scheduler' | 'kubelet',
): Promise<string> =>
  goProgram(name, join(import.meta.dirname, 'programs'), `k8s.io/kubernetes/cmd/${name}`, buildMs);
