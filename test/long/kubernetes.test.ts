import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, describe } from 'vitest';
import { runtimeConforms } from '../conformance/runtime.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { clusterPlace, kubeletKind } from '../kubernetes/conformance.ts';
import { available } from '../programs/run.ts';

/** With `KUBECONFIG`: any API server that has no scheduler and no nodes; else one of our own. */
const file = process.env['KUBECONFIG'];
const given = new KubeConfig();
if (file) given.loadFromFile(file);
const own = file
  ? undefined
  : await available('pods on a real API server of Kubernetes', () => ApiServer.start());
const config = file ? given : own?.config;

afterAll(() => own?.stop());

describe.skipIf(!config)('on a real API server', () => {
  runtimeConforms('runtime kubernetes', kubeletKind, () => clusterPlace(config ?? given));
});
