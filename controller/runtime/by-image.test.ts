import { describe, expect, test } from 'vitest';
import type { LogPiece } from '#contracts/logs.ts';
import { networksOf, spec } from '../../test/conformance/runtime.ts';
import { ended, running } from '../../test/pod-examples.ts';
import { Broadcast } from './broadcast.ts';
import { runtimeByImage } from './by-image.ts';
import type { Observed, RunSpec, Runtime } from './runtime.ts';
import { RunInProgress, RuntimeUnavailable } from './runtime.ts';

const key = 'default/pod';

/** Remembers what is asked of it; its output is its name. */
class StubRuntime implements Runtime {
  readonly name: string;
  readonly calls: string[] = [];
  readonly told = new Broadcast();
  readonly seen = new Map<string, Observed>();

  constructor(name: string) {
    this.name = name;
  }

  async start(started: RunSpec): Promise<void> {
    this.seen.set(started.key, running({ run: started.run }));
    this.told.send(started.key);
  }

  async observe(of: string): Promise<Observed | undefined> {
    return this.seen.get(of);
  }

  async list(): Promise<readonly string[]> {
    return [...this.seen.keys()];
  }

  async stop(of: string): Promise<void> {
    this.calls.push(`stop ${of}`);
  }

  async remove(of: string): Promise<void> {
    this.seen.delete(of);
    this.calls.push(`remove ${of}`);
  }

  async logs(): Promise<string> {
    return this.name;
  }

  async *followLogs(_key: string, _start: unknown, signal: AbortSignal): AsyncGenerator<LogPiece> {
    yield { text: this.name, cursor: '1', gap: false };
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  events(signal: AbortSignal): AsyncIterable<string> {
    return this.told.receive(signal);
  }

  async stopAll(): Promise<void> {
    this.calls.push('stopAll');
  }

  close(): void {
    this.calls.push('close');
  }
}

function both() {
  const processes = new StubRuntime('processes');
  const containers = new StubRuntime('containers');
  return { processes, containers, runtime: runtimeByImage(processes, containers) };
}

const hello = spec({ image: 'podgate/hello:1', networks: networksOf('default') });
const away = (): Promise<never> => Promise.reject(new RuntimeUnavailable('away'));
const nginx = spec({ image: 'nginx:1', run: 2 });

describe('the runtime by image', () => {
  test('runs built-in images as processes and others as containers', async () => {
    const { processes, containers, runtime } = both();
    await runtime.start(hello);
    await runtime.start({ ...nginx, key: 'default/other' });
    expect(await processes.list()).toEqual([key]);
    expect(await containers.list()).toEqual(['default/other']);
    expect(await runtime.list()).toEqual([key, 'default/other']);
  });

  test('starts nothing while a run of the pod lives elsewhere', async () => {
    const { containers, runtime } = both();
    await runtime.start(hello);
    await expect(runtime.start(nginx)).rejects.toThrow(RunInProgress);
    expect(await containers.list()).toEqual([]);
  });

  test('shows of two runs the one that lives, else the newest of the newest pod', async () => {
    const { processes, containers, runtime } = both();
    processes.seen.set(key, ended({ run: 1 }));
    containers.seen.set(key, ended({ run: 2 }));
    expect(await runtime.observe(key)).toMatchObject({ run: 2 });
    expect(await runtime.logs(key)).toBe('containers');
    processes.seen.set(key, running({ run: 1 }));
    expect(await runtime.observe(key)).toMatchObject({ run: 1 });
    processes.seen.set(key, { ...ended({ run: 1 }), podCreatedAtMs: Number.MAX_SAFE_INTEGER });
    expect(await runtime.observe(key)).toMatchObject({ run: 1 });
  });

  test('sees to processes that live while the engine does not answer, and to nothing else', async () => {
    const { containers, runtime } = both();
    await runtime.start(hello);
    containers.observe = away;
    containers.list = away;
    expect(await runtime.list()).toEqual([key]);
    expect(await runtime.observe(key)).toMatchObject({ run: hello.run });
    expect(await runtime.logs(key)).toBe('processes');
    await expect(runtime.observe('default/other')).rejects.toThrow(RuntimeUnavailable);
    await expect(runtime.start({ ...hello, key: 'default/other' })).rejects.toThrow('away');
  });

  test('of two runs that have ended none is shown while only one is known', async () => {
    const { processes, containers, runtime } = both();
    processes.seen.set(key, ended());
    containers.observe = away;
    await expect(runtime.observe(key)).rejects.toThrow('away');
  });

  test('stopping all waits for both, whatever becomes of one', async () => {
    const { processes, containers, runtime } = both();
    containers.stopAll = away;
    await expect(runtime.stopAll(1_000)).rejects.toThrow('away');
    expect(processes.calls).toEqual(['stopAll']);
  });

  test('stops and removes a pod wherever it is', async () => {
    const { processes, containers, runtime } = both();
    await runtime.stop(key, 0);
    await runtime.remove(key);
    const asked = [`stop ${key}`, `remove ${key}`];
    expect([processes.calls, containers.calls]).toEqual([asked, asked]);
  });

  test('events of both are told', async () => {
    const { processes, containers, runtime } = both();
    const aborter = new AbortController();
    const events = runtime.events(aborter.signal)[Symbol.asyncIterator]();
    containers.told.send('a/container');
    expect((await events.next()).value).toBe('a/container');
    const next = events.next();
    processes.told.send('a/process');
    expect((await next).value).toBe('a/process');
    aborter.abort();
    expect((await events.next()).done).toBe(true);
  });

  test('who follows a pod goes along when its next run is elsewhere', async () => {
    const { processes, runtime } = both();
    await runtime.start(hello);
    const aborter = new AbortController();
    const pieces = runtime.followLogs(key, {}, aborter.signal)[Symbol.asyncIterator]();
    expect((await pieces.next()).value).toMatchObject({ text: 'processes' });
    const next = pieces.next();
    processes.seen.set(key, ended());
    await runtime.start(nginx);
    expect((await next).value).toMatchObject({ text: 'containers' });
    const last = pieces.next();
    aborter.abort();
    expect((await last).done).toBe(true);
  });
});
