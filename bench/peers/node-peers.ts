import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from '../../test/programs/cache.ts';
import { install } from '../../test/programs/run.ts';
import type { PeerSettings } from './peer.ts';
import { cipherSuites } from './peer.ts';

const pins = join(import.meta.dirname, 'packages', 'package.json');

/** Names and versions in one line. */
export function nodePeerVersions(): string {
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(pins, 'utf8'),
  );
  return Object.entries(dependencies).flat().join(' ');
}

/** Installed from the registry at their first use, beside the caches of the tests. */
async function packages(): Promise<string> {
  const folder = await cached('bench-peers', [pins], async (making) => {
    copyFileSync(pins, join(making, 'package.json'));
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
    await install(['npm', 'install', '--prefix', making, ...flags]);
  });
  return join(folder, 'node_modules');
}

export async function httpProxy3(settings: PeerSettings): Promise<readonly string[]> {
  const { port, upstreamPort, chain, key } = settings;
  const module = join(await packages(), 'http-proxy-3', 'dist', 'lib', 'index.js');
  const program = join(import.meta.dirname, 'http-proxy-3.mjs');
  const ports = [String(port), String(upstreamPort)];
  return [process.execPath, program, module, ...ports, chain, key, cipherSuites];
}

/** JupyterHub's proxy. It keeps upstream connections by itself and sets X-Forwarded-*. */
export async function configurableHttpProxy(settings: PeerSettings): Promise<readonly string[]> {
  const { port, upstreamPort, chain, key, sparePort } = settings;
  const program = join(
    await packages(),
    'configurable-http-proxy',
    'bin',
    'configurable-http-proxy',
  );
  const flags = {
    '--ip': '127.0.0.1',
    '--port': String(port),
    '--api-port': String(sparePort),
    '--ssl-cert': chain,
    '--ssl-key': key,
    '--ssl-ciphers': cipherSuites,
    '--default-target': `http://127.0.0.1:${upstreamPort}`,
    '--log-level': 'error',
  };
  return [process.execPath, program, ...Object.entries(flags).flat()];
}
