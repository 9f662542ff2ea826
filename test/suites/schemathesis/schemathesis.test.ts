import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unavailable } from '../../../api/unavailable/operations.ts';
import { Standalone } from '../../integration/standalone.ts';
import { python } from '../../programs/python.ts';
import { available, run } from '../../programs/run.ts';

/** A fuzzer that reads our description of the API and holds the API to it. */

const interpreter = await available('schemathesis', () =>
  python('schemathesis', join(import.meta.dirname, 'requirements.txt')),
);

const conformance = [
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
];

// What answers 501 by design, and what answers with the status that it is asked for.
const failing = [...unavailable.map(({ operationId }) => operationId), 'error_handler'];

// What can take from the fuzzer its own account, and what does not end: logs that are followed, of pods
// that it made itself before. Tried last, and where there are none of those.
const apart = ['change_password', 'delete_user', 'get_pod_logs', 'update_tenant', 'update_user'];

describe.skipIf(!interpreter)('schemathesis', () => {
  let podgate: Standalone;

  beforeAll(async () => {
    podgate = await Standalone.start({ env: { PODGATE_API_REQUESTS_PER_MINUTE: '0' } });
  });
  afterAll(() => podgate.stopAndForget());

  /** How many cases were tried, when none failed. */
  async function cases(checks: readonly string[], which: readonly string[]): Promise<number> {
    const description = `http://127.0.0.1:${podgate.ports.api}/v3/openapi.json`;
    const argv = [interpreter ?? '', '-m', 'schemathesis.cli', 'run', description];
    const { code, out } = await run(
      [
        ...argv,
        '-H',
        `X-Tapis-Token: ${await podgate.token()}`,
        '--max-examples=30',
        '--seed=1',
        `--checks=${checks.join(',')}`,
        ...which,
      ],
      {
        // It keeps what it found in the folder it runs in.
        cwd: dirname(podgate.dataDir),
        env: { NO_COLOR: '1', PYTHONDONTWRITEBYTECODE: '1' },
        timeoutMs: 290_000,
      },
    );
    expect(code, out.slice(-6000)).toBe(0);
    return Number(/(\d+) generated, \1 passed/.exec(out)?.[1]);
  }

  test('no failure of ours, no status, type or answer that is not described', async () => {
    const exclude = [...failing, ...apart].flatMap((id) => ['--exclude-operation-id', id]);
    const tried = await cases(['not_a_server_error', ...conformance], exclude);
    expect(tried).toBeGreaterThan(2000);
  });

  test('what is not available yet says so as described', async () => {
    const include = failing.flatMap((id) => ['--include-operation-id', id]);
    expect(await cases(conformance, include)).toBeGreaterThan(300);
  });

  test('nor from what is tried apart', async () => {
    const include = apart.flatMap((id) => ['--include-operation-id', id]);
    const tried = await cases(['not_a_server_error', ...conformance], include);
    expect(tried).toBeGreaterThan(100);
  });
});
