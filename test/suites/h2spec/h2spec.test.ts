import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { goProgram } from '../../programs/go.ts';
import { withHosts } from '../../programs/hosts.ts';
import { available, run } from '../../programs/run.ts';
import { keepResult } from '../known.ts';

/** h2spec 2.2.1, strict, against the gateway's TLS port, with the demo pod behind it. */

const host = 'hello.pods.localhost';
const needed = await available('h2spec', async () => ({
  h2spec: await goProgram('h2spec', import.meta.dirname, 'github.com/summerwind/h2spec/cmd/h2spec'),
  resolving: await withHosts(host),
}));

interface Case {
  readonly name: string;
  readonly failed: boolean;
}

/** The cases of its JUnit report. */
function casesOf(report: string): Case[] {
  const pattern = /<testcase package="[^"/]*\/([^"]*)" classname="([^"]*)"[^>]*>(\s*<error)?/g;
  return [...report.matchAll(pattern)].map(([, section, title, error]) => ({
    name: `${section}: ${title}`.replaceAll('&#39;', "'"),
    failed: error !== undefined,
  }));
}

describe.skipIf(!needed)('h2spec', () => {
  let podgate: Standalone;
  let cases: Case[] = [];

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.state('hello', 'AVAILABLE');
    const report = join(dirname(podgate.dataDir), 'h2spec.xml');
    const where = ['--tls', '--host', host, '--port', String(podgate.ports.https)];
    const argv = [
      needed?.h2spec ?? '',
      ...where,
      '--strict',
      '--timeout',
      '5',
      '--junit-report',
      report,
    ];
    const { out, err } = await run([...(needed?.resolving ?? []), ...argv], {
      env: { SSL_CERT_FILE: podgate.caFile },
      timeoutMs: 240_000,
    });
    expect(out, err).toMatch(/\d+ tests, \d+ passed/);
    cases = casesOf(readFileSync(report, 'utf8'));
  });
  afterAll(() => podgate.stopAndForget());

  test('every case passes', async () => {
    expect(cases).toHaveLength(146);
    const failed = cases.filter((one) => one.failed).map(({ name }) => name);
    expect(failed).toEqual([]);
    const passed = cases.length - failed.length;
    const count = `${passed} of ${cases.length} cases pass.`;
    await keepResult('h2spec', ['# h2spec 2.2.1', '', count]);
  });
});
