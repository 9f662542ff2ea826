import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { certificates } from '#contracts/certificate.ts';
import { desiredPods } from '#contracts/pod.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { noPreflight } from '../../certs/acme/preflight.ts';
import { startCerts } from '../../certs/certs.ts';
import { authorityAt } from '../acme/world.ts';
import { desiredPod } from '../pod-examples.ts';

const podCount = 200;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const installed = ((): boolean => {
  try {
    execFileSync('which', ['pebble'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

test.runIf(installed)(
  'a pebble that refuses every second nonce issues for many pods in one run',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podgate-pebble-'));
    const [port, managementPort] = [await freePort(), await freePort()];
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const files = ['-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', ...curve, ...files, ...subject], { stdio: 'ignore' });
    const pebble = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: cert,
      privateKey: key,
      httpPort: 80,
      tlsPort: 443,
      ocspResponderURL: '',
      externalAccountBindingRequired: false,
    };
    writeFileSync(join(folder, 'pebble.json'), JSON.stringify({ pebble }));
    const faults = { PEBBLE_WFE_NONCEREJECT: '50', PEBBLE_AUTHZREUSE: '0', PEBBLE_VA_NOSLEEP: '1' };
    const server = spawn('pebble', ['-config', join(folder, 'pebble.json')], {
      env: { ...process.env, ...faults, PEBBLE_VA_ALWAYS_VALID: '1' },
      stdio: 'ignore',
    });
    const store = new MemoryStore();
    const roots = readFileSync(cert, 'utf8');
    const sealer = openSealer(join(folder, 'secret.key'));
    const real = [authorityAt(`https://127.0.0.1:${port}/dir`, { roots })];
    const certs = await startCerts(
      {
        store,
        sealer,
        clock: systemClock,
        random: systemRandom,
        leases: new MemoryLeases(systemClock),
        log: quiet,
      },
      {
        site: { domain: 'example.org', tenant: 'default' },
        holder: 'one',
        others: {
          mode: 'per-pod',
          authorities: { real, staging: undefined },
          preflight: noPreflight,
          dns: undefined,
        },
      },
    );
    const names = Array.from({ length: podCount }, (_, index) => `p${index}`);
    for (const podId of names) {
      await desiredPods(store).put(`default/${podId}`, desiredPod({ podId }), 'absent');
    }
    await expect
      .poll(
        async () => {
          const { documents } = await certificates(store).list();
          return documents.filter(({ value }) => value.issuer === `127.0.0.1:${port}`).length;
        },
        { timeout: 200_000, interval: 200 },
      )
      .toBe(podCount + 1);
    await certs.stop();
    server.kill();
    rmSync(folder, { recursive: true });
  },
);
