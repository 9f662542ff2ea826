import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { takeSnapshot } from '../output/snapshot.ts';
import type { ApiRequest, KubernetesApi } from './api.ts';
import { ApiError } from './api.ts';
import { PodOutput } from './output.ts';
import { zPod } from './pod-state.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const pod = zPod.parse({
  metadata: {
    name: 'pod',
    namespace: 'pods',
    uid: '1',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { containers: [{}] },
});

type Query = NonNullable<ApiRequest['query']>;
type Answer = (query: Query) => Readable;

/** The output of a pod at an API server that answers as it is told. */
function world(answer: Answer, bounds = { lines: 1_000, answerBytes: 20_000 }) {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-output-'));
  folders.push(folder);
  const asked: Query[] = [];
  const api = {
    open: async ({ query = {} }: ApiRequest): Promise<IncomingMessage> => {
      asked.push(query);
      return answer(query) as IncomingMessage;
    },
  } as unknown as KubernetesApi;
  const output = new PodOutput(api, folder, systemClock, bounds);
  const text = async (): Promise<string> => {
    await using kept = await takeSnapshot(folder);
    return (await kept.read(kept.start, kept.end)).toString();
  };
  return { asked, output, text };
}

const timed = (index: number, text: string): string =>
  `2026-01-01T00:00:00.${String(index).padStart(9, '0')}Z ${text}\n`;

function inPieces(bytes: Buffer): Readable {
  const starts = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) => i);
  return Readable.from(starts.map((i) => bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes)));
}
const pieceBytes = 1_000;

test('of a log that is long the newest lines are had, in answers of a bounded size', async () => {
  const lines = Array.from({ length: 2_000 }, (_, index) => timed(index, `line ${index}`));
  const { asked, output, text } = world(({ tailLines, limitBytes }) => {
    const bytes = Buffer.from(lines.slice(-Number(tailLines)).join(''));
    return inPieces(bytes.subarray(0, Number(limitBytes)));
  });
  output.begun(pod);
  await output.finish();
  expect(asked.map(({ tailLines }) => tailLines)).toEqual(['1000', '250']);
  // Of the 1,000 newest lines the first answer had the oldest.
  const kept = (await text()).trimEnd().split('\n');
  expect(kept[0]).toBe('line 1000');
  expect(kept.slice(-249)).toEqual(lines.slice(-249).map((line) => line.slice(31).trimEnd()));
});

test('a stream that is cut on its way is gone on with, while somebody follows', async () => {
  const streams: PassThrough[] = [];
  const { asked, output, text } = world(() => {
    const stream = new PassThrough();
    streams.push(stream);
    return stream;
  });
  const watching = new AbortController();
  output.begun(pod);
  output.follow(watching.signal);
  await vi.waitFor(() => expect(streams).toHaveLength(1));
  streams[0]?.write(timed(1, 'one'));
  await vi.waitFor(async () => expect(await text()).toBe('one\n'));
  streams[0]?.end();
  await vi.waitFor(() => expect(streams).toHaveLength(2), 5_000);
  expect(asked[1]?.['sinceTime']).toBe('2025-12-31T23:59:55.000Z');
  streams[1]?.end(timed(1, 'one') + timed(2, 'two'));
  await vi.waitFor(async () => expect(await text()).toBe('one\ntwo\n'));
  watching.abort();
});

test('a Pod that is gone is not asked for its last words, which the stream has told', async () => {
  const stream = new PassThrough();
  const { asked, output, text } = world(() => stream);
  output.begun(pod);
  output.follow(new AbortController().signal);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  output.gone();
  const finished = output.finish();
  stream.end(timed(1, 'bye'));
  await finished;
  expect(await text()).toBe('bye\n');
  expect(asked).toHaveLength(1);
});

test('last words are asked for again while the API server has a bad moment', async () => {
  let failures = 2;
  const { output, text } = world(() => {
    failures -= 1;
    if (failures >= 0) throw new ApiError(503, 'ServiceUnavailable', 'not now');
    return Readable.from([Buffer.from(timed(1, 'bye'))]);
  });
  output.begun(pod);
  await output.finish();
  expect(await text()).toBe('bye\n');
});

test('what cannot be had is said', async () => {
  const { asked, output } = world(() => {
    throw new ApiError(404, 'NotFound', 'pods "pod" not found');
  });
  output.begun(pod);
  await expect(output.finish()).rejects.toThrow('not found');
  await output.update();
  expect(asked).toHaveLength(2);
});
