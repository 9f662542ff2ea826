import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts, Standalone, until } from '../../integration/standalone.ts';
import { Bind, bindProgram } from '../../programs/bind.ts';
import { Pebble, pebbleProgram } from '../../programs/pebble.ts';
import { freePort } from '../../programs/ports.ts';
import { available } from '../../programs/run.ts';
import { Browser, chromium } from './browser.ts';

/** A pod with a certificate of a real ACME authority (pebble), as a person's browser sees it. */

const programs = await available('a certificate from ACME in Chromium', async () => ({
  chromium: await chromium(),
  pebble: await pebbleProgram(),
  bind: await bindProgram(),
}));

describe.skipIf(!programs)('Chromium at a pod with a certificate from ACME', () => {
  const host = 'hello.pods.example.test';
  // Only where to find it; what its certificate must say stays as it is.
  const switches = ['--host-resolver-rules=MAP *.example.test 127.0.0.1'];
  let bind: Bind;
  let pebble: Pebble;
  let podgate: Standalone;
  let rootFile = '';
  let url = '';

  beforeAll(async () => {
    bind = await Bind.start(programs?.bind ?? '');
    const ports = await freePorts();
    const { server } = bind.settings;
    pebble = await Pebble.start(programs?.pebble ?? '', {
      ports: { directory: await freePort(), management: await freePort() },
      validated: ports,
      dns: `${server.host}:${server.port}`,
    });
    const env = {
      PODGATE_DOMAIN: 'example.test',
      PODGATE_ACME_DIRECTORY: pebble.directoryUrl,
      PODGATE_ACME_CA_FILE: pebble.caFile,
      PODGATE_ACME_PREFLIGHT: `127.0.0.1:${ports.http}`,
    };
    podgate = await Standalone.start({ ports, env });
    url = `https://${host}:${ports.https}/`;
    rootFile = join(dirname(podgate.dataDir), 'root.pem');
    writeFileSync(rootFile, await pebble.rootPem());
    await podgate.state('hello', 'AVAILABLE');
    await until(
      async () => {
        const { envelope } = await podgate.call('GET', '/v3/pods/hello/certificate');
        return envelope.result['phase'] === 'active';
      },
      () => podgate.output,
      100_000,
    );
  });
  afterAll(async () => {
    await podgate?.stopAndForget();
    await pebble?.stop();
    await bind?.stop();
  });

  const visit = async (name: string, caFile?: string): Promise<[Browser, string | undefined]> => {
    const folder = join(dirname(podgate.dataDir), name);
    const browser = await Browser.start(String(programs?.chromium), folder, { caFile, switches });
    await browser.call('Security.enable');
    return [browser, await browser.open(url)];
  };

  test('it opens without a warning where the authority’s root is trusted', async () => {
    const [browser, error] = await visit('trusting', rootFile);
    expect(error).toBeUndefined();
    expect(await browser.evaluate('document.body.innerText')).toContain('Hello');
    const states = () =>
      browser.events.filter(({ method }) => method === 'Security.visibleSecurityStateChanged');
    await until(() => JSON.stringify(states().at(-1)).includes('"secure"'));
    const shown = states().at(-1)?.params['visibleSecurityState'];
    expect(shown).toMatchObject({
      securityState: 'secure',
      certificateSecurityState: {
        issuer: expect.stringMatching(/^Pebble Intermediate CA /),
        certificateHasWeakSignature: false,
        certificateHasSha1Signature: false,
        modernSSL: true,
        obsoleteSslProtocol: false,
      },
    });
    expect(shown).not.toHaveProperty('certificateSecurityState.certificateNetworkError');
    await browser.close();
  });

  test.each([
    ['no root of ours', undefined],
    ['only the root of Podgate’s own authority', 'own'],
  ])('with %s it is refused', async (_what, which) => {
    const caFile = which === 'own' ? podgate.caFile : undefined;
    const [browser, error] = await visit(`stranger-${which ?? 'none'}`, caFile);
    expect(error).toBe('net::ERR_CERT_AUTHORITY_INVALID');
    await browser.close();
  });
});
