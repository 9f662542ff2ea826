import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';

/** A run to start: everything is decided, nothing is looked up later. Holds secrets in the clear. */
export interface RunSpec {
  /** `podKey` of the pod. */
  readonly key: string;
  /** Counts the runs of a pod upwards; together with the key it names this run. */
  readonly run: number;
  /** When the pod was created: tells a pod from an earlier one of the same name. */
  readonly podCreatedAtMs: number;
  readonly image: string;
  readonly command: readonly string[] | null;
  readonly arguments: readonly string[] | null;
  readonly environment: Readonly<Record<string, string>>;
  /** Names of the networks, in the user's order. */
  readonly networks: readonly string[];
}

/** Where a run can be reached on one network. */
export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
  /** The program of this run accepts TCP connections there. */
  readonly listening: boolean;
}

export interface RunEnd {
  /**
   * itself: the program ended or could not go on; stopped: `stop` ended it; lost: it ended while
   * nobody watched, so how is unknown; refused: it cannot be started as it is specified, and trying
   * again would not help.
   */
  readonly by: 'itself' | 'stopped' | 'lost' | 'refused';
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why, or the last lines the program wrote: for the owner's eyes. */
  readonly message: string;
  readonly endedAtMs: number;
}

/** The newest run of a pod. */
export interface Observed {
  readonly run: number;
  readonly podCreatedAtMs: number;
  readonly phase: 'starting' | 'running' | 'exited';
  readonly startedAtMs: number;
  readonly addresses: Readonly<Record<string, NetworkAddress>>;
  /** Not null exactly when `phase` is `exited`. */
  readonly end: RunEnd | null;
}

/**
 * Runs pods. One implementation per place where programs can run, one conformance suite for all.
 *
 * - At most one run of a key lives at any time.
 * - Runs outlive the controller: what another controller started on the same place is observed,
 *   stopped and removed like one's own.
 * - Calls for different keys may overlap; for one key the caller makes one at a time, except
 *   `observe`, `logs` and `followLogs`, which may always be called.
 */
export interface Runtime {
  /**
   * Resolves after the run was launched or has failed to launch, which `observe` then shows as
   * `exited`. Starting a run that was started before does nothing. Throws `RunInProgress` while
   * another run of the key lives.
   */
  start(spec: RunSpec): Promise<void>;
  /** The newest run, or undefined when the key never ran or was removed. */
  observe(key: string): Promise<Observed | undefined>;
  /** Keys that `observe` knows. */
  list(): Promise<readonly string[]>;
  /**
   * Asks the program to end (SIGTERM) and after `graceMs` ends it with all its children (SIGKILL).
   * Resolves when it is gone; at once when nothing runs.
   */
  stop(key: string, graceMs: number): Promise<void>;
  /** The pod is deleted: ends what runs, then forgets its files and logs. */
  remove(key: string): Promise<void>;
  /** The newest output of the pod, at most 10 MB, over its runs; '' when it never ran. */
  logs(key: string, window?: LogWindow): Promise<string>;
  /** As `PodLogs.follow`; `remove` ends it after the pod's last words, `close` at once. */
  followLogs(key: string, start: LogStart, signal: AbortSignal): AsyncIterable<LogPiece>;
  /** Keys to look at again: a run ended, or a network began or ceased to listen. */
  events(signal: AbortSignal): AsyncIterable<string>;
  /** Stops every run, in parallel; resolves within about `deadlineMs`. */
  stopAll(deadlineMs: number): Promise<void>;
  /** Lets go of all runs, which go on; nothing else may be called afterwards but `stopAll`, which then does nothing. */
  close(): void;
}

export class RunInProgress extends Error {
  override readonly name = 'RunInProgress';
}
