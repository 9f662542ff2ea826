/** Which part of a pod's output is meant; of two limits the narrower one holds. */
export interface LogWindow {
  /** The newest lines; the last may be one that is not at its end. */
  readonly tail?: number | undefined;
  /** What was written since, as whole lines. Times may be rough: up to a second more may come. */
  readonly sinceMs?: number | undefined;
}

/** Where to begin: with a window of what there is, or right after the piece that had this cursor. */
export type LogStart = LogWindow | { readonly after: string };

/** Some output, cut between characters and not between lines. */
export interface LogPiece {
  readonly text: string;
  /** The place right after this piece, to go on from while the pod is there. Opaque, without spaces. */
  readonly cursor: string;
  /** Output between the place before and this piece is no longer kept. */
  readonly gap: boolean;
}

/** Logs of a pod, asked for by the api and answered by the controller that owns the runtime. */
export interface PodLogs {
  /** The newest output of the pod (at most 10 MB), or '' when it never ran. `key` is a `podKey`. */
  read(key: string, window?: LogWindow): Promise<string>;
  /**
   * What there is, then what is written, piece by piece over all runs, until the pod is removed.
   * Nothing is read before it is asked for, so a slow reader costs one piece of memory; whoever is
   * slower than the pod for long meets a gap. Aborting `signal` ends it without an error; throws
   * `LogsUnavailable` when the one who serves ends.
   */
  follow(key: string, start: LogStart, signal: AbortSignal): AsyncIterable<LogPiece>;
}

/** Carries such questions between programs. Asking while nobody serves throws `LogsUnavailable`. */
export interface LogExchange extends PodLogs {
  /** Answers from now on; the returned function ends it. */
  serve(logs: PodLogs): () => void;
}

export class LogsUnavailable extends Error {
  override readonly name = 'LogsUnavailable';
}
