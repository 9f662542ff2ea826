import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import { z } from 'zod';
import { expand } from '../../controller/runtime/expand.ts';
import type { KubePod } from './kube-pod.ts';

const zSecret = z.object({ data: z.record(z.string(), z.string()).optional() });
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The environment of a container, as a kubelet makes it. */
export async function environmentFor(
  pod: KubePod,
  secretOf: (name: string) => Promise<unknown>,
): Promise<Record<string, string>> {
  const [container] = pod.spec.containers;
  const variables: Record<string, string> = { PATH: searchPath };
  for (const { secretRef } of container?.envFrom ?? []) {
    if (!secretRef) continue;
    const { data = {} } = zSecret.parse(await secretOf(secretRef.name));
    for (const [name, value] of Object.entries(data))
      variables[name] = Buffer.from(value, 'base64').toString();
  }
  for (const { name, value = '' } of container?.env ?? [])
    variables[name] = expand(value, variables);
  return variables;
}

/** Starts the program of a pod; a text says why there is none. */
export function startProgram(
  pod: KubePod,
  program: readonly string[],
  env: Record<string, string>,
  log: ContainerLog,
): Promise<ChildProcess | string> {
  const [container] = pod.spec.containers;
  const words = (list: readonly string[] = []): string[] => list.map((word) => expand(word, env));
  const entry = container?.command ? words(container.command) : program;
  const [file = '', ...rest] = [...entry, ...words(container?.args)];
  return new Promise((resolve) => {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const child = spawn(file, rest, { env, cwd: '/', detached: true, stdio: [...stdio] });
    child.once('error', (error) => resolve(`exec "${file}": ${error.message}`));
    child.once('spawn', () => resolve(child));
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => log.write(chunk));
  });
}

/** Whether somebody listens on this machine. */
export const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });

const newline = 0x0a;
const nanosPerMs = 1_000_000n;
const startNanos = BigInt(Date.now()) * nanosPerMs - process.hrtime.bigint();

/** In nanoseconds and never going back, as nodes have it. */
function timeNow(behindMs: number): string {
  const nanos = startNanos + process.hrtime.bigint() - BigInt(behindMs) * nanosPerMs;
  const rest = String(nanos % nanosPerMs).padStart(6, '0');
  return new Date(Number(nanos / nanosPerMs)).toISOString().replace('Z', `${rest}Z`);
}

/** What a container has written, with times as the log of a container has them. */
export class ContainerLog {
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly chunks: { readonly at: string; readonly bytes: Buffer; readonly startsLine: boolean }[] =
    [];
  readonly #behindMs: number;
  ended = false;
  #lineStarts = true;

  /** Of a node whose clock may be behind. */
  constructor(behindMs: number) {
    this.#behindMs = behindMs;
  }

  write(bytes: Buffer): void {
    this.chunks.push({ at: timeNow(this.#behindMs), bytes, startsLine: this.#lineStarts });
    this.#lineStarts = bytes.at(-1) === newline;
    this.#changes.emit('change');
  }

  end(): void {
    this.ended = true;
    this.#changes.emit('change');
  }

  /** Resolves at the next change. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#changes.off('change', done);
        resolve();
      };
      this.#changes.once('change', done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  tail(): string {
    return Buffer.concat(this.chunks.slice(-50).map(({ bytes }) => bytes))
      .toString()
      .slice(-2_048);
  }
}

/** A piece of a log with each line's time before it, unless `timed` is false. */
export function withTimes(
  { at, bytes, startsLine }: ContainerLog['chunks'][number],
  timed: boolean,
): Buffer {
  if (!timed) return bytes;
  const text = bytes.toString('latin1');
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  const lines = body.replaceAll('\n', `\n${at} `);
  const ending = text.endsWith('\n') ? '\n' : '';
  return Buffer.from(`${startsLine ? `${at} ` : ''}${lines}${ending}`, 'latin1');
}
