import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { available } from '../../programs/run.ts';
import { Browser, chromium } from './browser.ts';

/** The gateway's own pages, as a person sees them. */

const program = await available('Chromium', chromium);

describe.skipIf(!program)('pages in Chromium', () => {
  let podgate: Standalone;
  let browser: Browser;

  const home = (name: string): string => join(dirname(podgate.dataDir), name);
  const url = (pod: string): string => `https://${pod}.pods.localhost:${podgate.ports.https}/`;

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.state('hello', 'AVAILABLE');
    browser = await Browser.start(String(program), home('browser'), {
      caFile: podgate.caFile,
    });
    await browser.call('Log.enable');
  });
  afterAll(async () => {
    await browser.close();
    await podgate.stopAndForget();
  });

  /** As it is when the page changes under the question, too. */
  const text = async (): Promise<string> =>
    String(await browser.evaluate('document.body?.innerText').catch(() => ''));

  test('a pod that starts becomes itself, and the visitor need not touch anything', async () => {
    const mayListen = home('may-listen');
    const slow = `
      const fs = require('node:fs');
      const server = require('node:http').createServer((request, response) => {
        response.setHeader('content-type', 'text/html');
        response.end('<body>here I am');
      });
      const timer = setInterval(() => {
        if (!fs.existsSync(${JSON.stringify(mayListen)})) return;
        clearInterval(timer);
        server.listen(Number(process.env.PORT));
      }, 20);`;
    const definition = {
      pod_id: 'slow',
      image: 'podgate/process',
      command: [process.execPath, '-e', slow],
    };
    expect((await podgate.call('POST', '/v3/pods', definition)).status).toBe(200);
    await expect
      .poll(async () => {
        await browser.open(url('slow'));
        return text();
      })
      .toMatch(/This pod is starting[^]*slow\.pods\.localhost[^]*tries again by itself/);
    writeFileSync(mayListen, '');
    await expect.poll(text, { timeout: 20_000 }).toBe('here I am');
  });

  describe.each([
    ['nobody', 'There is no pod here', 'EDGE_NO_ROUTE'],
    ['hello', 'This pod is stopped', 'EDGE_POD_STOPPED'],
  ])('%s', (pod, title, code) => {
    beforeAll(async () => {
      if (pod !== 'hello') return;
      await podgate.call('GET', `/v3/pods/${pod}/stop`);
      await podgate.state(pod, 'STOPPED');
    });

    const look = `({
      title: document.title,
      text: document.body.innerText,
      pictures: document.querySelectorAll('svg').length,
      back: getComputedStyle(document.body).backgroundColor,
      radius: getComputedStyle(document.querySelector('main')).borderRadius,
      right: document.querySelector('main').getBoundingClientRect().right,
    })`;

    test.each([
      [1280, 'light', 'rgb(243, 245, 248)'],
      [1280, 'dark', 'rgb(14, 18, 23)'],
      [320, 'light', 'rgb(243, 245, 248)'],
      [320, 'dark', 'rgb(14, 18, 23)'],
    ])('is dressed and fits at %i pixels, %s', async (width, scheme, back) => {
      const screen = { width, height: 700, deviceScaleFactor: 1, mobile: width < 500 };
      await browser.call('Emulation.setDeviceMetricsOverride', screen);
      const features = [{ name: 'prefers-color-scheme', value: scheme }];
      await browser.call('Emulation.setEmulatedMedia', { features });
      const before = browser.events.length;
      expect(await browser.open(url(pod))).toBeUndefined();
      const seen = await browser.evaluate(look);
      expect(seen).toMatchObject({ title, pictures: 3, back, radius: '16px' });
      expect((seen as { right: number }).right).toBeLessThan(width);
      expect(JSON.stringify(seen)).toContain(code);
      // Its Content-Security-Policy forbids nothing that it needs.
      const refused = JSON.stringify(browser.events.slice(before)).match(
        /content security policy/i,
      );
      expect(refused).toBeNull();
    });
  });
});
