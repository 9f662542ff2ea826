import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { LogPiece, LogStart } from '#contracts/logs.ts';
import type { Observed, RunNetwork, RunSpec, Runtime } from '../../controller/runtime/runtime.ts';
import { RunInProgress } from '../../controller/runtime/runtime.ts';

/** A place where pods run, of which several runtimes may be made one after the other. */
export interface RuntimePlace {
  open(): Promise<Runtime>;
  /** After a test: nothing may be left running. */
  clean(): Promise<void>;
}

/** What the suite has to know of a place to ask the same of all. */
export interface PlaceKind {
  readonly images: {
    /** The example program, started without a command, which listens on `PORT`. */
    readonly hello: string;
    /** What starts that program in its image, where it is not what the image would execute. */
    readonly helloCommand?: readonly string[];
    /** Has `/bin/sh`, `sleep`, `env`, `cat`, `seq` and `sed`. */
    readonly shell: string;
    /** Is nowhere. */
    readonly missing: string;
  };
  /** Programs are processes of this machine: they see its files, and we their pids. */
  readonly onThisMachine: boolean;
  /** Of a program that writes a lot at once nodes may give the last file of its output only. */
  readonly rotatesOutput?: boolean;
  /** How long anything may take. */
  readonly patienceMs: number;
}

/** Of `podgate/hello` and `podgate/process`. */
export const processKind: PlaceKind = {
  images: { hello: 'podgate/hello', shell: 'podgate/process', missing: 'nginx:1' },
  onThisMachine: true,
  patienceMs: 15_000,
};

const patience = { timeout: processKind.patienceMs, interval: 10 };

/** What a `Runtime` promises, wherever its programs run. */
export function runtimeConforms(
  title: string,
  kind: PlaceKind,
  makePlace: () => Promise<RuntimePlace>,
): void {
  const { images, onThisMachine, patienceMs } = kind;
  const wait = { timeout: patienceMs, interval: 10 };
  const shell = (script: string, change: Partial<RunSpec> = {}): RunSpec =>
    shellSpec(script, { image: images.shell, ...change });
  const hello = (...networks: readonly string[]): RunSpec =>
    spec({
      image: images.hello,
      command: images.helloCommand ?? null,
      networks: networksOf(...networks),
    });
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

  describe(title, { timeout: 3 * patienceMs }, () => {
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
      await runtime.start(hello('default', 'raw'));
      const { port, host } = await listening(runtime, 'default', wait);
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
      await runtime.start(hello('default'));
      await told(runtime, events, (seen) => seen.addresses['default']?.listening === true);
      const ended = told(runtime, events, (seen) => seen.phase === 'exited');
      await runtime.stop(key, 5_000);
      await ended;
      aborter.abort();
      await vi.waitFor(async () => expect((await events.next()).done).toBe(true));
    });

    test('starting the same run twice starts it once', async () => {
      const { runtime } = await place();
      const count = shell('echo started; exec sleep 60');
      await runtime.start(count);
      await runtime.start(count);
      await logged(runtime, 'started', wait);
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
      await vi.waitFor(async () => {
        expect(await observed(runtime)).toMatchObject({ run: 2, phase: 'running' });
      }, wait);
    });

    test.each([
      ['its exit code', 'exit 3', 3],
      ['success', 'exit 0', 0],
    ])('how a program ended is known by %s, with its last lines', async (_name, how, exitCode) => {
      const { runtime } = await place();
      await runtime.start(shell(`echo one; echo two >&2; ${how}`));
      const { end } = await exited(runtime, wait);
      expect(end).toMatchObject({ by: 'itself', exitCode, signal: null });
      expect(end?.message.split('\n').toSorted()).toEqual(['one', 'two']);
    });

    // The first process of a container cannot kill itself, and a container has an exit code only.
    test.runIf(onThisMachine)('how a program ended is known by the signal', async () => {
      const { runtime } = await place();
      await runtime.start(shell('echo one; kill -9 $$'));
      const { end } = await exited(runtime, wait);
      const want = { by: 'itself', exitCode: null, signal: 'SIGKILL', message: 'one' };
      expect(end).toMatchObject(want);
    });

    test.each<[string, Partial<RunSpec>, string]>([
      ['an image that is nowhere', { image: images.missing }, images.missing],
      ['a program that is not there', { command: ['/no/such/program'] }, '/no/such/program'],
    ])('%s is refused and named', async (_name, change, text) => {
      const { runtime } = await place();
      await runtime.start(shell('true', change));
      const { end } = await exited(runtime, wait);
      expect(end).toMatchObject({ by: 'refused', exitCode: null, signal: null });
      expect(end?.message).toContain(text);
    });

    // Images have a command of their own.
    test.runIf(onThisMachine)('a process without a command is refused', async () => {
      const { runtime } = await place();
      await runtime.start(shell('true', { command: null }));
      const { end } = await exited(runtime, wait);
      expect(end).toMatchObject({ by: 'refused', message: expect.stringContaining('command') });
    });

    test('stop asks first: a program may end in its own way', async () => {
      const { runtime } = await place();
      await runtime.start(
        shell('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'),
      );
      await logged(runtime, 'up', wait);
      await runtime.stop(key, 10_000);
      expect((await observed(runtime)).end).toMatchObject({ by: 'stopped', exitCode: 0 });
      expect(await runtime.logs(key)).toMatch(/bye\n$/);
    });

    test('stop insists: a program that ignores SIGTERM is killed after the grace', async () => {
      const { runtime } = await place();
      await runtime.start(shell('trap "" TERM; echo up; while :; do sleep 0.05; done'));
      await logged(runtime, 'up', wait);
      const began = performance.now();
      await runtime.stop(key, 300);
      expect(performance.now() - began).toBeGreaterThan(290);
      const { end } = await observed(runtime);
      expect(end?.by).toBe('stopped');
      expect(end?.signal === 'SIGKILL' || end?.exitCode === 137).toBe(true);
    });

    test.runIf(onThisMachine)(
      'children end with their program, whether it was stopped or left by itself',
      async () => {
        const { runtime } = await place();
        const script = '(trap "" TERM; sleep 300) & echo $!; ';
        await runtime.start(shell(`${script} exit 0`));
        await exited(runtime, wait);
        const first = Number(await runtime.logs(key));
        await gone(first);
        await runtime.start(shell(`${script} wait`, { run: 2 }));
        await logged(runtime, /\d+\n--- run 2 ---\n\d+\n/, wait);
        await runtime.stop(key, 200);
        await gone(Number((await runtime.logs(key)).split('\n')[2]));
      },
    );

    test('variables reach the program expanded, and nothing of ours does', async () => {
      const { runtime } = await place();
      const environment = { WHO: 'world', HI: 'hello $(WHO) $$(WHO) $(NOBODY)', PORT: '1' };
      const networks = networksOf('default', 'bolt');
      const script = 'echo "$0"; env; pwd';
      await runtime.start(shell(script, { environment, arguments: ['$(HI)'], networks }));
      const { addresses } = await exited(runtime, wait);
      const lines = (await runtime.logs(key)).trim().split('\n');
      expect(lines[0]).toBe('hello world $(WHO) $(NOBODY)');
      const found = Object.fromEntries(lines.slice(1, -1).map((line) => line.split('=', 2)));
      const portOf = (name: string, inside: number): string =>
        String(onThisMachine ? addresses[name]?.port : inside);
      const first = portOf('default', 5000);
      expect(found).toMatchObject({
        PATH: expect.stringContaining('/bin'),
        PORT: first,
        PORT_DEFAULT: first,
        PORT_BOLT: portOf('bolt', 5001),
        WHO: 'world',
        HI: 'hello world $(WHO) $(NOBODY)',
      });
      expect(Object.keys(found).filter((name) => /^(?:VITEST|npm_)/.test(name))).toEqual([]);
      if (!onThisMachine) return;
      const work = lines.at(-1);
      expect(found).toMatchObject({ HOME: work, LANG: 'C.UTF-8' });
      // The shell adds PWD and its kin by itself.
      const own = Object.keys(found).filter((name) => !/^(?:PWD|OLDPWD|SHLVL|_)$/.test(name));
      expect(own.toSorted()).toEqual(
        ['HI', 'HOME', 'LANG', 'PATH', 'PORT', 'PORT_BOLT', 'PORT_DEFAULT', 'WHO'].toSorted(),
      );
    });

    test.runIf(onThisMachine)(
      'a pod keeps its files from run to run, and loses them when it is removed',
      async () => {
        const { runtime } = await place();
        const script = 'cat note 2>/dev/null || echo empty; echo kept > note';
        await runtime.start(shell(script));
        await exited(runtime, wait);
        await runtime.start(shell(script, { run: 2 }));
        await exited(runtime, wait, 2);
        expect(await runtime.logs(key)).toBe('empty\n--- run 2 ---\nkept\n');
        await runtime.remove(key);
        expect(await runtime.observe(key)).toBeUndefined();
        expect(await runtime.logs(key)).toBe('');
        await runtime.start(shell(script));
        await exited(runtime, wait);
        expect(await runtime.logs(key)).toBe('empty\n');
      },
    );

    test('remove ends what runs', async () => {
      const { runtime } = await place();
      await runtime.start(hello('default'));
      const address = await listening(runtime, 'default', wait);
      await runtime.remove(key);
      await expect(accepts(address)).resolves.toBe(false);
      expect(await runtime.list()).toEqual([]);
    });

    test('a pod that was removed leaves nothing to the next one of its name', async () => {
      const { runtime } = await place();
      await runtime.start(shell('echo first'));
      await exited(runtime, wait);
      expect(await runtime.logs(key)).toBe('first\n');
      await runtime.remove(key);
      expect(await runtime.observe(key)).toBeUndefined();
      expect(await runtime.logs(key)).toBe('');
      await runtime.start(shell('echo second', { podCreatedAtMs: 8 }));
      await exited(runtime, wait);
      expect(await runtime.logs(key)).toBe('second\n');
      expect(await observed(runtime)).toMatchObject({ run: 1, podCreatedAtMs: 8 });
    });

    test('what a run wrote before it crashed is had after the next one began, and told from its output', async () => {
      const { runtime, reopen } = await place();
      await runtime.start(shell('echo "no such table"; printf "giving up"; exit 3'));
      await exited(runtime, wait);
      const next = await reopen();
      await next.start(shell('exit 4', { run: 2 }));
      expect((await exited(next, wait, 2)).end?.message).not.toContain('run 2');
      await next.start(shell('echo again; exec sleep 60', { run: 3 }));
      await logged(next, 'again', wait);
      const text = 'no such table\ngiving up\n--- run 2 ---\n--- run 3 ---\nagain\n';
      expect(await next.logs(key)).toBe(text);
      expect(await next.logs(key, { tail: 2 })).toBe('--- run 3 ---\nagain\n');
    });

    test.skipIf(kind.rotatesOutput)('of much output the newest 10 MB are kept', async () => {
      const { runtime } = await place();
      // Of who ends while its pipe is full, containerd 1.6 may lose what is in there.
      const drained = onThisMachine ? '' : '; sleep 1';
      await runtime.start(shell(`seq 1 1200000 | sed "s/^/line /"; echo end${drained}`));
      await exited(runtime, wait);
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
      const script = 'echo old; sleep 2.5; seq 1 1000 | sed "s/^/line /"; printf unfinished';
      await runtime.start(shell(script));
      await logged(runtime, 'old', wait);
      const sinceMs = Date.now() + 1_000;
      await exited(runtime, wait);
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
      const follower = followed(runtime, {}, wait);
      await runtime.start(shell('echo one; cat; echo two'));
      await follower.until('one\ntwo\n');
      await exited(runtime, wait);
      const waiting = 'trap "echo bye; exit" TERM; echo three; while :; do sleep 0.02; done';
      await runtime.start(shell(waiting, { run: 2 }));
      await follower.until('one\ntwo\n--- run 2 ---\nthree\n');
      await runtime.stop(key, 5_000);
      await runtime.remove(key);
      await follower.ended;
      expect(follower.text()).toMatch(/^one\ntwo\n--- run 2 ---\nthree\n(?:Terminated\n)?bye\n$/);
    });

    test('who follows goes on after any piece, with nothing lost and nothing twice', async () => {
      const { runtime, reopen } = await place();
      await runtime.start(
        shell('for i in $(seq 1 300); do echo "line $i \u00e9"; done; sleep 300'),
      );
      await logged(runtime, 'line 300', wait);
      const all = await runtime.logs(key);
      const first = followed(runtime, { tail: 100 }, wait);
      await first.until(all.slice(all.indexOf('line 201 ')));
      const [piece] = first.pieces;
      await runtime.stop(key, 0);
      const next = await reopen();
      await next.start(shell('echo more', { run: 2 }));
      const second = followed(next, { after: piece?.cursor ?? '' }, wait);
      await second.until(
        `${all.slice(all.indexOf('line 201 ') + (piece?.text.length ?? 0))}--- run 2 ---\nmore\n`,
      );
      expect(second.pieces.some(({ gap }) => gap)).toBe(false);
      second.stop();
      await second.ended;
    });

    test('a place that is not of this output leads to its beginning, and says so', async () => {
      const { runtime } = await place();
      await runtime.start(shell('echo here'));
      await logged(runtime, 'here', wait);
      for (const after of ['1000', 'nonsense', '']) {
        const follower = followed(runtime, { after }, wait);
        await follower.until('here\n');
        expect(follower.pieces[0]?.gap).toBe(true);
        follower.stop();
      }
    });

    test('runs go on without a runtime, and the next one takes them over', async () => {
      const { runtime, reopen } = await place();
      await runtime.start(hello('default'));
      const before = await listening(runtime, 'default', wait);
      const next = await reopen();
      expect(await next.list()).toEqual([key]);
      // At once: routes are made from what it says first.
      const seen = await observed(next);
      expect(seen).toMatchObject({ run: 1, phase: 'running', addresses: { default: before } });
      await next.stop(key, 5_000);
      expect((await observed(next)).end).toMatchObject({ by: 'stopped', exitCode: 0 });
      await expect(accepts(before)).resolves.toBe(false);
    });

    test('the end of a run that was taken over is an event with its exit code', async () => {
      const { runtime, reopen } = await place();
      await runtime.start(shell('echo up; sleep 4; exit 4'));
      await logged(runtime, 'up', wait);
      const next = await reopen();
      const events = next.events(AbortSignal.timeout(patienceMs))[Symbol.asyncIterator]();
      // On a machine that is busy it may have ended before it was taken over.
      const { phase } = await observed(next);
      if (phase !== 'exited') await told(next, events, (seen) => seen.phase === 'exited');
      expect((await observed(next)).end).toMatchObject({ by: 'itself', exitCode: 4 });
    });

    test('stopAll stops everything, in the time it is given', async () => {
      const { runtime } = await place();
      const stubborn = 'trap "" TERM; echo up; while :; do sleep 0.05; done';
      const keys = ['default/one', 'default/two'];
      for (const one of keys) await runtime.start(shell(stubborn, { key: one }));
      for (const one of keys) await logged(runtime, 'up', wait, one);
      const began = performance.now();
      await runtime.stopAll(1_000);
      expect(performance.now() - began).toBeLessThan(onThisMachine ? 3_000 : patienceMs);
      for (const one of keys)
        expect(await runtime.observe(one)).toMatchObject({ end: { by: 'stopped' } });
    });
  });
}

const key = 'default/pod';

/** Networks with the ports 5000, 5001 and so on. */
export const networksOf = (...names: readonly string[]): RunNetwork[] =>
  names.map((name, i) => ({ name, protocol: 'http', port: 5000 + i }));

/** A spec with what does not matter to a test filled in. */
export function spec(change: Partial<RunSpec>): RunSpec {
  return {
    key,
    tenant: 'default',
    podId: change.key?.split('/')[1] ?? 'pod',
    run: 1,
    podCreatedAtMs: 7,
    image: 'podgate/process',
    registry: null,
    command: null,
    arguments: null,
    environment: {},
    networks: [],
    resources: {
      cpuRequestMilli: 250,
      cpuLimitMilli: 2000,
      memoryRequestMi: 64,
      memoryLimitMi: 512,
      gpus: 0,
    },
    computeQueue: 'default',
    privileges: { root: false, user: null, capabilities: [] },
    ...change,
  };
}

export const shellSpec = (script: string, change: Partial<RunSpec> = {}): RunSpec =>
  spec({ command: ['/bin/sh', '-c', escapeDollars(script)], ...change });

/** `$$` means the shell's pid to the script and `$` to the runtime. */
const escapeDollars = (script: string): string => script.replaceAll('$$', () => '$$$$');

export async function observed(runtime: Runtime, of = key): Promise<Observed> {
  const seen = await runtime.observe(of);
  if (!seen) throw new Error(`${of} is not known`);
  return seen;
}

export const exited = (runtime: Runtime, wait = patience, run = 1, of = key): Promise<Observed> =>
  vi.waitFor(async () => {
    const seen = await observed(runtime, of);
    expect(seen).toMatchObject({ run, phase: 'exited' });
    return seen;
  }, wait);

/** Reads events until one comes after which the pod is as it should be. */
async function told(
  runtime: Runtime,
  events: AsyncIterator<string>,
  wanted: (seen: Observed) => boolean,
): Promise<void> {
  for (;;) {
    const { value, done } = await events.next();
    if (done) throw new Error('no event told of it');
    expect(value).toBe(key);
    const seen = await runtime.observe(key);
    if (seen && wanted(seen)) return;
  }
}

export const logged = (
  runtime: Runtime,
  text: string | RegExp,
  wait = patience,
  of = key,
): Promise<void> => vi.waitFor(async () => expect(await runtime.logs(of)).toMatch(text), wait);

/** Follows from now on; what came so far is there to look at. */
function followed(runtime: Runtime, start: LogStart, wait: typeof patience) {
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
    until: (want: string): Promise<void> => vi.waitFor(() => expect(text()).toBe(want), wait),
  };
}

export const listening = (
  runtime: Runtime,
  network: string,
  wait = patience,
): Promise<{ host: string; port: number }> =>
  vi.waitFor(async () => {
    const address = (await observed(runtime)).addresses[network];
    if (!address?.listening) throw new Error(`${network} does not listen`);
    return address;
  }, wait);

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

const accepts = ({ host, port }: { host: string; port: number }): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
  });
