import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, describe, test } from 'vitest';
import { runtimeConforms } from '../conformance/runtime.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { clusterPlace, kubeletKind } from '../kubernetes/conformance.ts';
import { Unavailable } from '../programs/run.ts';

/** With `KUBECONFIG`: any API server that has no scheduler and no nodes; else one of our own. */
const file = process.env['KUBECONFIG'];
const given = new KubeConfig();
if (file) given.loadFromFile(file);
const own = file ? undefined : await ApiServer.start().catch(reasonOf);
const config = file ? given : own instanceof ApiServer ? own.config : undefined;

function reasonOf(error: unknown): string {
  if (error instanceof Unavailable) return error.message;
  throw error;
}

afterAll(() => (own instanceof ApiServer ? own.stop() : undefined));

describe('on a real API server', () => {
  if (config) runtimeConforms('runtime kubernetes', kubeletKind, () => clusterPlace(config));
  else
    test.skip(`kube-apiserver cannot be had: ${typeof own === 'string' ? own : ''}`, () =>
      undefined);
});
