import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { python } from '../../programs/python.ts';
import { available, run } from '../../programs/run.ts';

/** The Python client of the Pods service, as it is in the package registry. */

const folder = import.meta.dirname;
const interpreter = await available('the Python client tapipy', () =>
  python('tapipy', join(folder, 'requirements.txt')),
);

describe.skipIf(!interpreter)('tapipy', () => {
  let podgate: Standalone;
  let compatible: Standalone;

  beforeAll(async () => {
    podgate = await Standalone.start();
    compatible = await Standalone.start({ env: { PODGATE_COMPAT_STATUS: 'tapis' } });
  });
  afterAll(async () => {
    await podgate.stopAndForget();
    await compatible.stopAndForget();
  });

  async function program(name: string, at = podgate): Promise<unknown> {
    const { code, out, err } = await run([interpreter ?? '', join(folder, name)], {
      env: {
        BASE_URL: `http://127.0.0.1:${at.ports.api}`,
        PASSWORD: at.password,
        // The client keeps the specs it was given to read.
        HOME: dirname(at.dataDir),
        PYTHONDONTWRITEBYTECODE: '1',
      },
      timeoutMs: 100_000,
    });
    expect(code, err).toBe(0);
    return JSON.parse(out);
  }

  test('does every operation of the quickstart, and of pods, images and templates', async () => {
    expect(await program('quickstart.py')).toEqual({
      ...seen,
      'no such pod': ['NotFoundError', "Pod with identifier pod_id: 'nosuchpod' not found"],
      forged: ['UnauthorizedError', expect.stringContaining('Invalid Tapis token')],
    });
  });

  test('gets the errors of the original where the operator wants those', async () => {
    expect(await program('quickstart.py', compatible)).toEqual({
      ...seen,
      'no such pod': ['NotFoundError', "Pod with identifier pod_id: 'nosuchpod' not found"],
      forged: ['BadRequestError', expect.stringContaining('Invalid Tapis token')],
    });
  });

  test('built from our own description has the names of the documentation', async () => {
    expect(await program('own_spec.py')).toEqual(['owntemplate', 'latest', 'hello']);
  });
});

const granted = { permissions: ['admin:ADMIN', 'bob:READ'] };
const alone = { permissions: ['admin:ADMIN'] };

/** By step what the caller sees, where the status codes do not matter. */
const seen = {
  tenant: 'default',
  profile: 'admin',
  create: expect.objectContaining({
    pod_id: 'docpod',
    template: expect.stringMatching(/^hello:latest@\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d$/),
    description: 'My example pod!',
    status: 'REQUESTED',
  }),
  available: 'AVAILABLE',
  list: ['docpod', 'hello'],
  get: 'docpod.pods.localhost',
  derived: 'podgate/hello',
  logs: ['str', "Pod object created by 'admin'"],
  credentials: ['docpod', 30],
  update: 'Other',
  permissions: granted,
  'permissions list': granted,
  'permissions less': alone,
  restart: 'hello:latest@',
  stop: 'OFF',
  stopped: 'STOPPED',
  start: 'ON',
  image: 'tiangolo/uvicorn-gunicorn-fastapi',
  'image get': 'admin',
  images: ['a/one', 'a/two'],
  'images again': [],
  'images list': true,
  'image gone': 'tiangolo/uvicorn-gunicorn-fastapi',
  template: expect.objectContaining({ template_id: 'mine', description: 'd' }),
  'template list': true,
  'template get': 'd',
  'template update': 'new',
  tag: 'v1',
  tags: ['first'],
  'tag get': 'podgate/hello',
  'templates and tags': 'v1',
  'template permission': granted,
  'template permissions': granted,
  'template permission less': alone,
  save: 'hello:',
  'from saved': 'mine:v2@',
  'template gone': 'Template successfully deleted.',
  delete: ['Pod successfully deleted.', 'success'],
  'delete second': 'success',
  health: 'str',
  routes: 'int',
  volumes: ['InternalServerError', 'list_volumes is not available yet.'],
  'bad input': [
    'BadRequestError',
    ['body, pod_id: must be lowercase alphanumeric, the first character a letter'],
  ],
};
