/** Logs of a pod, asked for by the api and answered by the controller that owns the runtime. */
export interface PodLogs {
  /** The newest output of the pod (at most 10 MB), or '' when it never ran. `key` is a `podKey`. */
  read(key: string): Promise<string>;
}

/** Carries such questions between programs. Asking while nobody serves throws `LogsUnavailable`. */
export interface LogExchange extends PodLogs {
  /** Answers from now on; the returned function ends it. */
  serve(logs: PodLogs): () => void;
}

export class LogsUnavailable extends Error {
  override readonly name = 'LogsUnavailable';
}
