import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import type { Network } from '#contracts/pod.ts';

/** A run to start: everything is decided, nothing is looked up later. Holds secrets in the clear. */
export interface RunSpec {
  /** `podKey` of the pod. */
  readonly key: string;
  readonly tenant: string;
  readonly podId: string;
  /** Counts the runs of a pod upwards; together with the key it names this run. */
  readonly run: number;
  /** When the pod was created: tells a pod from an earlier one of the same name. */
  readonly podCreatedAtMs: number;
  readonly image: string;
  /** Of the image's registry; null: it is asked as nobody in particular. */
  readonly registry: RegistryAccess | null;
  /** Instead of what the image would execute. */
  readonly command: readonly string[] | null;
  /** `$(NAME)` in command, arguments and environment is expanded as in Kubernetes, by the runtime. */
  readonly arguments: readonly string[] | null;
  readonly environment: Readonly<Record<string, string>>;
  /** In the user's order. */
  readonly networks: readonly RunNetwork[];
  readonly resources: RunResources;
  /** Where in a cluster it runs. */
  readonly computeQueue: string;
  readonly privileges: RunPrivileges;
}

/**
 * A network of a pod. The program finds the port it has to listen on in `PORT_<NAME>`, and that of
 * `default` (else of the first) in `PORT`, which win over the user's variables.
 */
export interface RunNetwork {
  readonly name: string;
  /** `local_only`: other pods of the tenant reach it by the pod's name, clients do not. */
  readonly protocol: Network['protocol'];
  /** Where the program listens. As processes share their machine's ports, they get free ones instead. */
  readonly port: number;
}

export interface RunResources {
  readonly cpuRequestMilli: number;
  readonly cpuLimitMilli: number;
  readonly memoryRequestMi: number;
  readonly memoryLimitMi: number;
  readonly gpus: number;
}

/** As whom a run runs, and what an operator grants the pods of a template beyond what all have. */
export interface RunPrivileges {
  /** As the image wants it, root included; otherwise never as root. */
  readonly root: boolean;
  /** Instead of root: whom the image is made to become; null: not known. Its group has this number too. */
  readonly user: number | null;
  /** Names as Linux has them, without `CAP_`. */
  readonly capabilities: readonly string[];
}

export interface RegistryAccess {
  /** Host and port, as images name it; `docker.io` for those that name none. */
  readonly server: string;
  readonly username: string;
  readonly password: string;
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
   * nobody watched, so how is unknown; refused: it cannot be started as it is specified (no such
   * image, no such command), and trying again would not help.
   */
  readonly by: 'itself' | 'stopped' | 'lost' | 'refused';
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why, or the last lines the program wrote: for the owner's eyes. */
  readonly message: string;
  readonly endedAtMs: number;
}

/** Something that happened to a run, for the action log of its pod. */
export interface RunNote {
  /** Of when it happened, and the same as often as it is told. */
  readonly atMs: number;
  /** One line for people; nothing that the program wrote, no secret. */
  readonly text: string;
}

/** So many notes of a run are told, the newest. */
export const notesMax = 50;

/** The newest run of a pod. */
export interface Observed {
  readonly run: number;
  readonly podCreatedAtMs: number;
  /** starting: its image is fetched, a machine is looked for, or the program is about to begin. */
  readonly phase: 'starting' | 'running' | 'exited';
  /** When the program began; while it is `starting`, when that was asked for. */
  readonly startedAtMs: number;
  /** One for each network of the spec; none may be there while it is `starting`. */
  readonly addresses: Readonly<Record<string, NetworkAddress>>;
  /** Not null exactly when `phase` is `exited`. */
  readonly end: RunEnd | null;
  /** What it waits for, as a sentence for people. */
  readonly message?: string;
  /** Oldest first. Each is told with every look, and shown once. */
  readonly notes?: readonly RunNote[];
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
   * Resolves when the run is under way: `observe` shows it from then on, as `starting` while that
   * takes long, and what goes wrong as its end. Starting a run that was started before does nothing.
   * Throws `RunInProgress` while another run of the key lives, and `RuntimeUnavailable`.
   */
  start(spec: RunSpec): Promise<void>;
  /** The newest run, or undefined when the key never ran or was removed. */
  observe(key: string): Promise<Observed | undefined>;
  /** Keys that `observe` knows. */
  list(): Promise<readonly string[]>;
  /**
   * Asks the program to end (SIGTERM) and after `graceMs` ends it with all its children (SIGKILL).
   * Resolves when it is gone; at once when nothing runs. May throw `RuntimeUnavailable`.
   */
  stop(key: string, graceMs: number): Promise<void>;
  /** The pod is deleted: ends what runs, then forgets its files and logs. */
  remove(key: string): Promise<void>;
  /** The newest output of the pod, at most 10 MB, over its runs; '' when it never ran. */
  logs(key: string, window?: LogWindow): Promise<string>;
  /** As `PodLogs.follow`; `remove` ends it after the pod's last words, `close` at once. */
  followLogs(key: string, start: LogStart, signal: AbortSignal): AsyncIterable<LogPiece>;
  /**
   * Keys to look at again, of whatever `observe` shows of them has changed, from this call on. What
   * comes often (progress) may be told less often than it changes.
   */
  events(signal: AbortSignal): AsyncIterable<string>;
  /** Stops every run, in parallel; resolves within about `deadlineMs`. */
  stopAll(deadlineMs: number): Promise<void>;
  /** Lets go of all runs, which go on; nothing else may be called afterwards but `stopAll`, which then does nothing. */
  close(): void;
}

export class RunInProgress extends Error {
  override readonly name = 'RunInProgress';
}

/** The place where pods run does not answer, which says nothing about any pod. */
export class RuntimeUnavailable extends Error {
  override readonly name = 'RuntimeUnavailable';
}
