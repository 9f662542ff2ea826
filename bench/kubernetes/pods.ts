import { desiredPod } from '../../test/pod-examples.ts';

/** What the cluster and the controller of a run have to agree on. */

export const namespace = 'podgate-bench';
export const installation = 'bench';
/** The controller's own, so that its requests are told from those of the node. */
export const controllerToken = 'controller';
export const image = 'example/hello';
export const tenant = 'default';
export const port = 5000;

const { createdAtMs, resources } = desiredPod();
export { createdAtMs, resources };

/** Ids of pods that ran before the controller began. */
export const oldId = (index: number): string => `old${index}`;
/** Ids of pods that it starts. */
export const newId = (index: number): string => `new${index}`;

/** In ms since the epoch, finer than a whole one, and the same for all processes of a machine. */
export const preciseNowMs = (): number => performance.timeOrigin + performance.now();

/** By key of the pod, when something happened to it. */
export type Times = readonly (readonly [key: string, atMs: number])[];
