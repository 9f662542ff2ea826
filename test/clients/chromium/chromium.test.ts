import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { available } from '../../programs/run.ts';
import { Browser, chromium } from './browser.ts';

const program = await available('Chromium', chromium);

describe.skipIf(!program)('Chromium at the gateway', () => {
  let podgate: Standalone;
  let browser: Browser;
  let origin = '';

  const home = (name: string): string => join(dirname(podgate.dataDir), name);

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.state('hello', 'AVAILABLE');
    origin = `https://hello.pods.localhost:${podgate.ports.https}`;
    browser = await Browser.start(String(program), home('browser'), {
      caFile: podgate.caFile,
    });
    expect(await browser.open(`${origin}/`)).toBeUndefined();
  });
  afterAll(async () => {
    await browser.close();
    await podgate.stopAndForget();
  });

  test('refuses the gateway as long as its authority is not trusted', async () => {
    const stranger = await Browser.start(String(program), home('stranger'));
    expect(await stranger.open(`${origin}/`)).toBe('net::ERR_CERT_AUTHORITY_INVALID');
    await stranger.close();
  });

  test('trusts the authority, speaks HTTP/2 and shows the pod’s page', async () => {
    const page = `({
      protocol: performance.getEntriesByType('navigation')[0].nextHopProtocol,
      secure: isSecureContext,
      text: document.body.innerText,
    })`;
    const seen = await browser.evaluate(page);
    expect(seen).toMatchObject({ protocol: 'h2', secure: true });
    expect(JSON.stringify(seen)).toContain('Hello');
  });

  test('fetches a hundred things at once over one connection', async () => {
    const lengths = await browser.evaluate(`Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const response = await fetch('/download?bytes=' + (50000 + n));
        return (await response.arrayBuffer()).byteLength;
      }),
    )`);
    expect(lengths).toEqual(Array.from({ length: 100 }, (_, n) => 50_000 + n));
    const protocols = await browser.evaluate(
      `[...new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol))]`,
    );
    expect(protocols).toEqual(['h2']);
  });

  test('uploads 4 MiB and streams events', async () => {
    const uploaded = await browser.evaluate(
      `fetch('/upload', { method: 'PUT', body: new Uint8Array(4 << 20) }).then((r) => r.json())`,
    );
    expect(uploaded).toMatchObject({ bytes: 4 * 1024 * 1024 });
    const events = await browser.evaluate(`new Promise((resolve, reject) => {
      const source = new EventSource('/events');
      let seen = 0;
      source.onerror = reject;
      source.onmessage = () => { seen += 1; if (seen === 3) { source.close(); resolve(seen); } };
    })`);
    expect(events).toBe(3);
  });

  test('opens a WebSocket on the HTTP/2 connection (RFC 8441)', async () => {
    const echoed = await browser.evaluate(`new Promise((resolve, reject) => {
      const socket = new WebSocket(location.origin.replace('https', 'wss') + '/ws');
      socket.onerror = () => reject(new Error('refused'));
      socket.onopen = () => socket.send('x'.repeat(200000));
      socket.onmessage = ({ data }) => { socket.close(1000); resolve(data.length); };
    })`);
    expect(echoed).toBe(200_000);
    const handshake = browser.events.find(
      ({ method }) => method === 'Network.webSocketHandshakeResponseReceived',
    );
    // Over HTTP/1.1 it would be 101.
    expect(handshake?.params).toMatchObject({ response: { status: 200 } });
  });

  test('a pod that is not there is a page of the gateway', async () => {
    await browser.open(`https://nobody.pods.localhost:${podgate.ports.https}/`);
    expect(await browser.evaluate('document.body.innerText')).toContain('There is no pod here');
  });
});
