/** What a program shows its operator, in answer to a GET on the admin port. */
export interface AdminAnswer {
  readonly status: number;
  /** Shown as JSON. */
  readonly body: object;
}

export interface AdminEndpoint {
  /** Exact, such as `/explain`. */
  readonly path: string;
  /** It tells of single pods and their clients: not for everybody who reaches the port. */
  readonly confidential: boolean;
  answer(query: URLSearchParams): AdminAnswer;
}

/** A part of a program that can tell whether it does its work. */
export interface Part {
  readonly name: string;
  /** The program serves without it: it is told of, and makes the program none the less ready. */
  readonly dispensable?: boolean;
  /** Why it does not do its work, in a sentence for operators; undefined: it does. */
  problem(): string | undefined;
}
