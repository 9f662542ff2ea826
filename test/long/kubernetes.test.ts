import { afterAll, beforeAll, describe } from 'vitest';
import { runtimeConforms } from '../conformance/runtime.ts';
import { ApiServer } from '../kubernetes/api-server.ts';
import { clusterPlace, kubeletKind } from '../kubernetes/conformance.ts';
import { Unavailable } from '../programs/run.ts';

describe('on a real API server', () => {
  let server: ApiServer | undefined;

  beforeAll(async () => {
    server = await ApiServer.start();
  }, 40 * 60_000);
  afterAll(() => server?.stop());

  runtimeConforms('runtime kubernetes', kubeletKind, async () => {
    if (!server) throw new Unavailable('there is no API server');
    return clusterPlace(server.config);
  });
});
