import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts, Standalone, until } from '../../integration/standalone.ts';
import { debian } from '../../programs/debian.ts';
import { available, run } from '../../programs/run.ts';

/** HAProxy as the balancer in front: it says whose connection it is, and checks our health. */

const haproxy = await available('HAProxy in front', async () => {
  await debian('/usr/bin/curl', 'curl');
  return debian('/usr/sbin/haproxy', 'haproxy');
});

/**
 * Up by a check that succeeded, not by the benefit of the doubt it starts with. The asterisk is there
 * while the next check is under way.
 */
const up = /,UP,.*,(\* )?L6OK,/;

describe.skipIf(!haproxy)('behind HAProxy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-haproxy-'));
  const sockets = join(folder, 'haproxy.sock');
  let podgate: Standalone;
  let balancer: ReturnType<typeof spawn>;
  let front: { readonly v1: number; readonly v2: number };

  beforeAll(async () => {
    const trusted = { PODGATE_PROXY_PROTOCOL: 'on', PODGATE_TRUSTED_PROXIES: '127.0.0.1' };
    podgate = await Standalone.start({ env: trusted });
    await podgate.state('hello', 'AVAILABLE');
    const { https: v1, http: v2 } = await freePorts();
    front = { v1, v2 };
    const back = `127.0.0.1:${podgate.ports.https}`;
    // The pods' clients come by ::1, which is how the balancer's own address is told from theirs.
    const name = 'hello.pods.localhost';
    const check = `check check-send-proxy check-ssl check-sni ${name} verify none inter 200ms`;
    const config = [
      'global',
      `  stats socket ${sockets} mode 600 level admin`,
      'defaults',
      '  mode tcp',
      '  timeout connect 5s',
      '  timeout client 60s',
      '  timeout server 60s',
      'listen v1',
      `  bind [::1]:${v1}`,
      `  server gateway ${back} send-proxy ${check}`,
      'listen v2',
      `  bind [::1]:${v2}`,
      `  server gateway ${back} send-proxy-v2-ssl-cn ${check}`,
    ];
    writeFileSync(join(folder, 'haproxy.cfg'), `${config.join('\n')}\n`);
    balancer = spawn(haproxy ?? '', ['-db', '-f', join(folder, 'haproxy.cfg')], {
      stdio: 'ignore',
    });
    await until(async () => {
      const found = await states().catch(() => []);
      return found.length === 2 && found.every((state) => up.test(state));
    });
  });
  afterAll(async () => {
    balancer.kill();
    await once(balancer, 'exit');
    await podgate.stopAndForget();
    rmSync(folder, { recursive: true });
  });

  /** What the balancer thinks of the gateway, once for each way in. */
  async function states(): Promise<string[]> {
    const admin = net.connect(sockets);
    admin.write('show stat\n');
    return (await text(admin)).split('\n').filter((line) => line.includes(',gateway,'));
  }

  async function page(version: 'v1' | 'v2'): Promise<string> {
    const host = 'hello.pods.localhost';
    const argv = [
      'curl',
      '-s',
      '--cacert',
      podgate.caFile,
      '--connect-to',
      `::[::1]:${front[version]}`,
    ];
    return (await run([...argv, `https://${host}/`])).out;
  }

  test.each(['v1', 'v2'] as const)(
    'send-proxy %s: the pod hears of the client',
    async (version) => {
      expect(await page(version)).toContain('x-forwarded-for<td>::1');
    },
  );

  test('its health checks shake hands with the gateway', async () => {
    const found = await states();
    expect(found).toHaveLength(2);
    for (const state of found) expect(state).toMatch(up);
  });
});
