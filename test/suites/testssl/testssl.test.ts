import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { debian } from '../../programs/debian.ts';
import { available, run } from '../../programs/run.ts';
import { expectKnown, keepResult, knownTable } from '../known.ts';

/** Debian's testssl.sh looks at the TLS terms of a host of the gateway. */

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What it holds against us and is meant to be so. */
const known = {
  'HIGH cert_expirationStatus': 'certificates of the own authority live 30 days and renew at 20',
  'HIGH cert_notAfter': 'the same',
  'HIGH cert_revocation': 'certificates that live 30 days need no CRL or OCSP',
  'MEDIUM BREACH':
    'answers are compressed; a pod that mixes secrets with its clients’ input says "proxy_compression": false',
  'LOW DNS_CAArecord': 'a matter of the operator’s DNS, not of the gateway',
  'LOW HSTS': 'a pod’s own to send unless the operator says so for all',
  'MEDIUM security_headers': 'a pod’s own to send; the gateway adds none to its answers',
};

const testssl = await available('testssl.sh', () => debian('/usr/bin/testssl', 'testssl.sh'));

describe.skipIf(!testssl)('testssl.sh', () => {
  const host = 'hello.pods.localhost';
  let podgate: Standalone;
  let findings: Finding[] = [];

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.state('hello', 'AVAILABLE');
    const report = join(dirname(podgate.dataDir), 'testssl.json');
    const how = ['--quiet', '--color', '0', '--warnings', 'off', '--jsonfile', report];
    const whom = ['--ip', '127.0.0.1', '--add-ca', podgate.caFile];
    const argv = [String(testssl), ...how, ...whom, `${host}:${podgate.ports.https}`];
    // Its exit code counts findings, so only the report can say whether it ran.
    const { out, err } = await run(argv, { timeoutMs: 280_000 });
    expect(out, err).toContain('Done');
    findings = JSON.parse(readFileSync(report, 'utf8')) as Finding[];
  });
  afterAll(() => podgate.stopAndForget());

  const verdict = (id: string) => findings.find((finding) => finding.id === id)?.finding;

  test('TLS 1.2 and 1.3 are offered and nothing older', () => {
    expect(['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1'].map(verdict)).toEqual(Array(4).fill('not offered'));
    expect(verdict('TLS1_2')).toBe('offered');
    expect(verdict('TLS1_3')).toContain('offered');
  });

  test('every cipher has forward secrecy and authenticated encryption', () => {
    expect(verdict('PFS')).toBe('offered');
    const groups = ['NULL', 'aNULL', 'EXPORT', 'LOW', '3DES_IDEA', 'AVERAGE'];
    const verdicts = groups.map((group) => verdict(`cipherlist_${group}`));
    expect(verdicts).toEqual(groups.map(() => 'not offered'));
  });

  test('nothing is held against it but what is known and justified', async () => {
    const held = findings
      .filter(({ severity }) => /^(LOW|MEDIUM|HIGH|CRITICAL|FATAL)$/.test(severity))
      .map(({ id, severity }) => `${severity} ${id}`);
    expectKnown(held, known);
    await keepResult('testssl', ['# testssl.sh', '', ...knownTable(known)]);
  });
});
