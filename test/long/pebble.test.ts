import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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
import { freePort } from '../programs/bind.ts';
import { Pebble, pebbleProgram } from '../programs/pebble.ts';
import { available } from '../programs/run.ts';

const podCount = 200;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const program = (await available('200 certificates of a real pebble', pebbleProgram)) ?? '';

test.skipIf(!program)(
  'a pebble that refuses every second nonce issues for many pods in one run',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podgate-pebble-'));
    const ports = { directory: await freePort(), management: await freePort() };
    const pebble = await Pebble.start(program, { ports });
    const store = new MemoryStore();
    const roots = readFileSync(pebble.caFile, 'utf8');
    const sealer = openSealer(join(folder, 'secret.key'));
    const real = [authorityAt(pebble.directoryUrl, { roots })];
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
          return documents.filter(({ value }) => value.issuer === new URL(pebble.directoryUrl).host)
            .length;
        },
        { timeout: 200_000, interval: 200 },
      )
      .toBe(podCount + 1);
    await certs.stop();
    await pebble.stop();
    rmSync(folder, { recursive: true });
  },
);
