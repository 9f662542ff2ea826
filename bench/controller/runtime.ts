import { once } from 'node:events';
import type {
  NetworkAddress,
  Observed,
  Runtime,
  RunSpec,
} from '../../controller/runtime/runtime.ts';

/** Runs nothing: every pod it was told of is up since ever, all at one address. */
export class SharedUpstream implements Runtime {
  /** How often somebody has looked at a pod. */
  looks = 0;
  readonly #pods: Set<string>;
  readonly #running: Omit<Observed, 'podCreatedAtMs'>;
  readonly #createdAtMs: number;

  /** `createdAtMs`: of all pods. */
  constructor(keys: Iterable<string>, createdAtMs: number, port: number) {
    this.#pods = new Set(keys);
    this.#createdAtMs = createdAtMs;
    const address: NetworkAddress = { host: '127.0.0.1', port, listening: true };
    this.#running = {
      run: 1,
      phase: 'running',
      startedAtMs: createdAtMs,
      addresses: { default: address },
      end: null,
    };
  }

  async observe(key: string): Promise<Observed | undefined> {
    this.looks += 1;
    if (!this.#pods.has(key)) return undefined;
    return { ...this.#running, podCreatedAtMs: this.#createdAtMs };
  }

  async list(): Promise<readonly string[]> {
    return [...this.#pods];
  }

  async start({ key }: RunSpec): Promise<void> {
    this.#pods.add(key);
  }

  async remove(key: string): Promise<void> {
    this.#pods.delete(key);
  }

  async stop(): Promise<void> {}

  async stopAll(): Promise<void> {}

  async logs(): Promise<string> {
    return '';
  }

  async *followLogs(): AsyncGenerator<never> {}

  // oxlint-disable-next-line require-yield -- nothing ever happens to a pod
  async *events(signal: AbortSignal): AsyncGenerator<never> {
    if (!signal.aborted) await once(signal, 'abort');
  }

  close(): void {}
}
