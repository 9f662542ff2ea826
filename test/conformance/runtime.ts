import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { LogPiece, LogStart } from '#contracts/logs.ts';
import type { Observed, RunSpec, Runtime } from '../../controller/runtime/runtime.ts';
import { RunInProgress } from '../../controller/runtime/runtime.ts';

/** A place where pods run, of which several runtimes may be made one after the other. */
export interface RuntimePlace {
  open(): Promise<Runtime>;
  /** After a test: nothing may be left running. */
  clean(): Promise<void>;
}

const patience = { timeout: 15_000, interval: 10 };

/** What a `Runtime` promises, for one that can run `podgate/hello` and `/bin/sh`. */
export function runtimeConforms(title: string, makePlace: () => Promise<RuntimePlace>): void {
  const places: RuntimePlace[] = [];
  const opened: Runtime[] = [];

  afterEach(async () => {
    for (const runtime of opened.splice(0)) await runtime.stopAll(2_000);
    for (const made of places.splice(0)) await made.clean();
  }, 30_000);

  async function place(): Promise<{ runtime: Runtime; reopen: () => Promise<Runtime> }> {
    const made = await makePlace();
    places.push(made);
    const open = async (): Promise<Runtime> => {
      const runtime = await made.open();
      opened.push(runtime);
      return runtime;
    };
    const runtime = await open();
    const reopen = (): Promise<Runtime> => {
      runtime.close();
      return open();
    };
    return { runtime, reopen };
  }

  describe(title, { timeout: 40_000 }, () => {
    test('a key that never ran is not known and has no log', async () => {
      const { runtime } = await place();
      expect(await runtime.observe('default/none')).toBeUndefined();
      expect(await runtime.list()).toEqual([]);
      expect(await runtime.logs('default/none')).toBe('');
      await runtime.stop('default/none', 0);
      await runtime.remove('default/none');
    });

    test('a started program runs, and accepts connections where it is said to', async () => {
      const { runtime } = await place();
      await runtime.start(spec({ image: 'podgate/hello', networks: ['default', 'raw'] }));
      const { port, host } = await listening(runtime, 'default');
      const response = await fetch(`http://${host}:${port}/healthz`);
      expect(response.status).toBe(200);
      const seen = await observed(runtime);
      expect(seen).toMatchObject({ run: 1, phase: 'running', podCreatedAtMs: 7, end: null });
      expect(seen.addresses['raw']).toMatchObject({ listening: false });
      expect(seen.addresses['raw']?.port).not.toBe(port);
      expect(await runtime.list()).toEqual([key]);
    });

    test('events tell when it listens and when it has ended', async () => {
      const { runtime } = await place();
      const aborter = new AbortController();
      const events = runtime.events(aborter.signal)[Symbol.asyncIterator]();
      await runtime.start(spec({ image: 'podgate/hello', networks: ['default'] }));
      expect((await events.next()).value).toBe(key);
      expect((await observed(runtime)).addresses['default']?.listening).toBe(true);
      const next = events.next();
      await runtime.stop(key, 5_000);
      expect((await next).value).toBe(key);
      expect((await observed(runtime)).phase).toBe('exited');
      aborter.abort();
      expect((await events.next()).done).toBe(true);
    });

    test('starting the same run twice starts it once', async () => {
      const { runtime } = await place();
      const count = shell('echo started; exec sleep 60');
      await runtime.start(count);
      await runtime.start(count);
      await logged(runtime, 'started');
      expect(await runtime.logs(key)).toBe('started\n');
    });

    test('another run is refused while one lives', async () => {
      const { runtime } = await place();
      await runtime.start(shell('exec sleep 60'));
      await expect(runtime.start(shell('exec sleep 60', { run: 2 }))).rejects.toThrow(
        RunInProgress,
      );
      await runtime.stop(key, 1_000);
      await runtime.start(shell('exec sleep 60', { run: 2 }));
      expect(await observed(runtime)).toMatchObject({ run: 2, phase: 'running' });
    });

    test.each([
      ['its exit code', 'echo one; echo two >&2; exit 3', { exitCode: 3, signal: null }],
      ['success', 'echo one; echo two >&2', { exitCode: 0, signal: null }],
      ['the signal', 'echo one; echo two >&2; kill -9 $$', { exitCode: null, signal: 'SIGKILL' }],
    ])('how a program ended is known by %s, with its last lines', async (_name, script, want) => {
      const { runtime } = await place();
      await runtime.start(shell(script));
      const { end } = await exited(runtime);
      expect(end).toMatchObject({ by: 'itself', ...want });
      expect(end?.message.split('\n').toSorted()).toEqual(['one', 'two']);
    });

    test.each([
      ['no command', { command: null }, 'command'],
      ['an image it cannot run', { image: 'nginx:1' }, 'nginx:1'],
      ['a program that is not there', { command: ['/no/such/program'] }, '/no/such/program'],
    ])('a spec with %s is refused and says so', async (_name, change, text) => {
      const { runtime } = await place();
      await runtime.start(shell('true', change));
      const { end } = await exited(runtime);
      expect(end).toMatchObject({ by: 'refused', exitCode: null, signal: null });
      expect(end?.message).toContain(text);
    });

    test('stop asks first: a program may end in its own way', async () => {
      const { runtime } = await place();
      await runtime.start(
        shell('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'),
      );
      await logged(runtime, 'up');
      await runtime.stop(key, 10_000);
      expect((await observed(runtime)).end).toMatchObject({ by: 'stopped', exitCode: 0 });
      expect(await runtime.logs(key)).toMatch(/bye\n$/);
    });

    test('stop insists: a program that ignores SIGTERM is killed after the grace', async () => {
      const { runtime } = await place();
      await runtime.start(shell('trap "" TERM; echo up; while :; do sleep 0.05; done'));
      await logged(runtime, 'up');
      const began = performance.now();
      await runtime.stop(key, 300);
      expect(performance.now() - began).toBeGreaterThan(290);
      expect((await observed(runtime)).end).toMatchObject({ by: 'stopped', signal: 'SIGKILL' });
    });

    test('children end with their program, whether it was stopped or left by itself', async () => {
      const { runtime } = await place();
      const script = '(trap "" TERM; sleep 300) & echo $!; ';
      await runtime.start(shell(`${script} exit 0`));
      await exited(runtime);
      const first = Number(await runtime.logs(key));
      await gone(first);
      await runtime.start(shell(`${script} wait`, { run: 2 }));
      await logged(runtime, /\d+\n\d+\n/);
      await runtime.stop(key, 200);
      await gone(Number((await runtime.logs(key)).split('\n')[1]));
    });

    test('variables reach the program expanded, and nothing of ours does', async () => {
      const { runtime } = await place();
      const environment = { WHO: 'world', HI: 'hello $(WHO) $$(WHO) $(NOBODY)', PORT: '1' };
      await runtime.start(
        shell('echo "$0"; env; pwd', {
          environment,
          arguments: ['$(HI)'],
          networks: ['default', 'bolt'],
        }),
      );
      const { addresses } = await exited(runtime);
      const lines = (await runtime.logs(key)).trim().split('\n');
      const ports = { d: String(addresses['default']?.port), b: String(addresses['bolt']?.port) };
      expect(lines[0]).toBe('hello world $(WHO) $(NOBODY)');
      const found = Object.fromEntries(lines.slice(1, -1).map((line) => line.split('=', 2)));
      const work = lines.at(-1);
      // The shell adds PWD and its kin by itself.
      for (const name of ['PWD', 'OLDPWD', 'SHLVL', '_']) delete found[name];
      expect(found).toEqual({
        PATH: expect.stringContaining('/usr/bin'),
        LANG: 'C.UTF-8',
        HOME: work,
        PORT: ports.d,
        PORT_DEFAULT: ports.d,
        PORT_BOLT: ports.b,
        WHO: 'world',
        HI: 'hello world $(WHO) $(NOBODY)',
      });
    });

    test('a pod keeps its files from run to run, and loses them when it is removed', async () => {
      const { runtime } = await place();
      const script = 'cat note 2>/dev/null || echo empty; echo kept > note';
      await runtime.start(shell(script));
      await exited(runtime);
      await runtime.start(shell(script, { run: 2 }));
      await exited(runtime, 2);
      expect(await runtime.logs(key)).toBe('empty\nkept\n');
      await runtime.remove(key);
      expect(await runtime.observe(key)).toBeUndefined();
      expect(await runtime.logs(key)).toBe('');
      await runtime.start(shell(script));
      await exited(runtime);
      expect(await runtime.logs(key)).toBe('empty\n');
    });

    test('remove ends what runs', async () => {
      const { runtime } = await place();
      await runtime.start(shell('echo $$; exec sleep 300'));
      await logged(runtime, '\n');
      const pid = Number(await runtime.logs(key));
      await runtime.remove(key);
      await gone(pid);
      expect(await runtime.list()).toEqual([]);
    });

    test('of much output the newest 10 MB are kept', async () => {
      const { runtime } = await place();
      const script = 'seq -f "line %.0f" 1 1200000; echo end';
      await runtime.start(shell(script));
      await exited(runtime);
      const text = await runtime.logs(key);
      expect(text.length).toBeLessThanOrEqual(10_000_000);
      expect(text.length).toBeGreaterThan(4_900_000);
      const lines = text.split('\n').slice(1, -2);
      const first = Number(lines[0]?.slice('line '.length));
      expect(lines).toHaveLength(1_200_000 - first + 1);
      expect(lines.at(-1)).toBe('line 1200000');
      expect(text.endsWith('\nend\n')).toBe(true);
    });

    test('of the output the newest lines are had alone, and what was written since', async () => {
      const { runtime } = await place();
      const script = 'echo old; sleep 2.5; seq -f "line %.0f" 1 1000; printf unfinished';
      await runtime.start(shell(script));
      await logged(runtime, 'old');
      const sinceMs = Date.now() + 1_000;
      await exited(runtime);
      expect(await runtime.logs(key, { tail: 2 })).toBe('line 1000\nunfinished');
      expect(await runtime.logs(key, { tail: 0 })).toBe('');
      const all = await runtime.logs(key);
      expect(await runtime.logs(key, { tail: 5000 })).toBe(all);
      expect(await runtime.logs(key, { sinceMs })).toBe(all.slice('old\n'.length));
      expect(await runtime.logs(key, { sinceMs, tail: 2 })).toBe('line 1000\nunfinished');
      expect(await runtime.logs(key, { sinceMs: Date.now() + 1_000 })).toBe('');
    });

    test('output is followed as it is written, over runs, and to its last words', async () => {
      const { runtime } = await place();
      const follower = followed(runtime, {});
      await runtime.start(shell('echo one; cat; echo two'));
      await follower.until('one\ntwo\n');
      await exited(runtime);
      const waiting = 'trap "echo bye; exit" TERM; echo three; while :; do sleep 0.02; done';
      await runtime.start(shell(waiting, { run: 2 }));
      await follower.until('one\ntwo\nthree\n');
      await runtime.stop(key, 5_000);
      await runtime.remove(key);
      await follower.ended;
      expect(follower.text()).toMatch(/^one\ntwo\nthree\n(?:Terminated\n)?bye\n$/);
    });

    test('who follows goes on after any piece, with nothing lost and nothing twice', async () => {
      const { runtime, reopen } = await place();
      await runtime.start(
        shell('for i in $(seq 1 300); do echo "line $i \u00e9"; done; sleep 300'),
      );
      await logged(runtime, 'line 300');
      const all = await runtime.logs(key);
      const first = followed(runtime, { tail: 100 });
      await first.until(all.slice(all.indexOf('line 201 ')));
      const [piece] = first.pieces;
      await runtime.stop(key, 0);
      const next = await reopen();
      await next.start(shell('echo more', { run: 2 }));
      const second = followed(next, { after: piece?.cursor ?? '' });
      await second.until(
        `${all.slice(all.indexOf('line 201 ') + (piece?.text.length ?? 0))}more\n`,
      );
      expect(second.pieces.some(({ gap }) => gap)).toBe(false);
      second.stop();
      await second.ended;
    });

    test('a place that is not of this output leads to its beginning, and says so', async () => {
      const { runtime } = await place();
      await runtime.start(shell('echo here'));
      await logged(runtime, 'here');
      for (const after of ['1000', 'nonsense', '']) {
        const follower = followed(runtime, { after });
        await follower.until('here\n');
        expect(follower.pieces[0]?.gap).toBe(true);
        follower.stop();
      }
    });

    test('runs go on without a runtime, and the next one takes them over', async () => {
      const { runtime, reopen } = await place();
      await runtime.start(spec({ image: 'podgate/hello', networks: ['default'] }));
      const before = await listening(runtime, 'default');
      const next = await reopen();
      expect(await next.list()).toEqual([key]);
      // At once: routes are made from what it says first.
      const seen = await observed(next);
      expect(seen).toMatchObject({ run: 1, phase: 'running', addresses: { default: before } });
      await next.stop(key, 5_000);
      expect((await observed(next)).end).toMatchObject({ by: 'stopped', exitCode: 0 });
      await expect(accepts(before.port)).resolves.toBe(false);
    });

    test('the end of a run that was taken over is an event with its exit code', async () => {
      const { runtime, reopen } = await place();
      const signal = join(tmpdir(), `podgate-test-${randomUUID()}`);
      await runtime.start(shell(`echo up; while [ ! -e ${signal} ]; do sleep 0.05; done; exit 4`));
      await logged(runtime, 'up');
      const next = await reopen();
      const events = next.events(AbortSignal.timeout(15_000))[Symbol.asyncIterator]();
      await writeFile(signal, '');
      expect((await events.next()).value).toBe(key);
      await rm(signal);
      expect((await observed(next)).end).toMatchObject({ by: 'itself', exitCode: 4 });
    });

    test('stopAll stops everything, in the time it is given', async () => {
      const { runtime } = await place();
      const stubborn = 'trap "" TERM; echo up; while :; do sleep 0.05; done';
      const keys = ['default/one', 'default/two'];
      for (const one of keys) await runtime.start(shell(stubborn, { key: one }));
      for (const one of keys) await logged(runtime, 'up', one);
      const began = performance.now();
      await runtime.stopAll(1_000);
      expect(performance.now() - began).toBeLessThan(3_000);
      for (const one of keys)
        expect(await runtime.observe(one)).toMatchObject({ end: { by: 'stopped' } });
    });
  });
}

const key = 'default/pod';

/** A spec with what does not matter to a test filled in. */
export function spec(change: Partial<RunSpec>): RunSpec {
  return {
    key,
    run: 1,
    podCreatedAtMs: 7,
    image: 'podgate/process',
    command: null,
    arguments: null,
    environment: {},
    networks: [],
    ...change,
  };
}

export const shell = (script: string, change: Partial<RunSpec> = {}): RunSpec =>
  spec({ command: ['/bin/sh', '-c', escapeDollars(script)], ...change });

/** `$$` means the shell's pid to the script and `$` to the runtime. */
const escapeDollars = (script: string): string => script.replaceAll('$$', () => '$$$$');

export async function observed(runtime: Runtime, of = key): Promise<Observed> {
  const seen = await runtime.observe(of);
  if (!seen) throw new Error(`${of} is not known`);
  return seen;
}

export const exited = (runtime: Runtime, run = 1): Promise<Observed> =>
  vi.waitFor(async () => {
    const seen = await observed(runtime);
    expect(seen).toMatchObject({ run, phase: 'exited' });
    return seen;
  }, patience);

export const logged = (runtime: Runtime, text: string | RegExp, of = key): Promise<void> =>
  vi.waitFor(async () => expect(await runtime.logs(of)).toMatch(text), patience);

/** Follows from now on; what came so far is there to look at. */
function followed(runtime: Runtime, start: LogStart) {
  const stopping = new AbortController();
  const pieces: LogPiece[] = [];
  const text = (): string => pieces.map((piece) => piece.text).join('');
  const follow = async (): Promise<void> => {
    for await (const piece of runtime.followLogs(key, start, stopping.signal)) pieces.push(piece);
  };
  return {
    pieces,
    text,
    ended: follow(),
    stop: () => stopping.abort(),
    until: (want: string): Promise<void> => vi.waitFor(() => expect(text()).toBe(want), patience),
  };
}

export const listening = (
  runtime: Runtime,
  network: string,
): Promise<{ host: string; port: number }> =>
  vi.waitFor(async () => {
    const address = (await observed(runtime)).addresses[network];
    if (!address?.listening) throw new Error(`${network} does not listen`);
    return address;
  }, patience);

/** Waits until no process has this pid (or only its zombie is left). */
export const gone = (pid: number): Promise<void> =>
  vi.waitFor(() => {
    expect(pid).toBeGreaterThan(1);
    expect(isRunning(pid)).toBe(false);
  }, patience);

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
  });
