import { Agent } from 'node:http';
import Docker from 'dockerode';
import { RuntimeUnavailable } from '../runtime.ts';
import { errorCode } from '../error-code.ts';
import type { EngineAddress } from './address.ts';
import { describeAddress } from './address.ts';
import type { GpuWay } from './gpu-way.ts';
import { gpuWay } from './gpu-way.ts';

/** An engine that takes longer for anything but a pull hangs. */
const callMs = 120_000;
/** What an engine says of itself: a rootless Podman on a busy machine took 2.7 s. */
const pingMs = 15_000;

/** The engine has answered, and the answer is no. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal';
  /** Of HTTP. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface EngineFacts {
  readonly name: 'Docker' | 'Podman';
  readonly version: string;
  readonly gpuWay: GpuWay;
}

/** An engine behind the Docker Engine API, with errors that say whose they are. */
export class Engine {
  readonly address: string;
  readonly #connection: Docker.DockerOptions;
  /** For calls that are answered soon. */
  readonly #calls: Docker;
  /** For answers that go on: output, events, progress. */
  readonly #streams: Docker;

  constructor(address: EngineAddress) {
    this.address = describeAddress(address);
    this.#connection =
      'socketPath' in address ? address : { ...address, protocol: 'http' as const };
    this.#calls = new Docker({ ...this.#connection, timeout: callMs });
    this.#streams = new Docker(this.#connection);
  }

  /** Throws `RuntimeUnavailable` when nobody answers there, or not like an engine. */
  async facts(): Promise<EngineFacts> {
    // On a connection of its own: one that an engine has given up would say that none answers.
    const terms = { ...this.#connection, timeout: pingMs, agent: new Agent() };
    const docker = new Docker(terms);
    const [version, info] = await this.#translated(
      Promise.all([docker.version(), docker.info() as Promise<unknown>]),
    );
    const components = version.Components?.map(({ Name }) => Name) ?? [];
    const name = components.some((each) => each.startsWith('Podman')) ? 'Podman' : 'Docker';
    return { name, version: version.Version, gpuWay: gpuWay(name, version.Version, info) };
  }

  /** Throws `EngineRefusal` and `RuntimeUnavailable`. */
  call<T>(ask: (docker: Docker) => Promise<T>): Promise<T> {
    return this.#translated(ask(this.#calls));
  }

  /** As `call`, for an answer that is read for as long as it goes on. */
  stream<T>(ask: (docker: Docker) => Promise<T>): Promise<T> {
    return this.#translated(ask(this.#streams));
  }

  async #translated<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw translate(error, this.address);
    }
  }
}

function translate(error: unknown, address: string): unknown {
  if (!(error instanceof Error)) return error;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (typeof status === 'number') return new EngineRefusal(status, wordsOf(error));
  const code = errorCode(error);
  if (code === '' && error.name !== 'AbortError' && !/socket hang up/.test(error.message))
    return error;
  const cause = code === 'EACCES' ? 'this user may not use it' : code || error.message;
  return new RuntimeUnavailable(`the container engine at ${address} does not answer (${cause})`);
}

/** What the engine itself said, without what the client puts around it. */
function wordsOf(error: Error): string {
  const json = 'json' in error ? error.json : undefined;
  const message =
    typeof json === 'object' && json !== null && 'message' in json ? json.message : undefined;
  return typeof message === 'string' ? message : error.message;
}

/** The container, image or network that was asked for is not there. */
export const isNotFound = (error: unknown): boolean =>
  error instanceof EngineRefusal && error.status === 404;
