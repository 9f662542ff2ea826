/** What a question yields: plain data, kept as JSON and turned into the report. */

/** One round of one subject. */
export interface Sample {
  /** The figure itself, in the table's unit. */
  readonly total: number;
  readonly user?: number;
  readonly system?: number;
  readonly perSecond?: number;
  readonly p99Ms?: number;
  readonly errors?: number;
  /** Share of the measured core that went to somebody else meanwhile. */
  readonly others?: number;
}

export interface Row {
  readonly subject: string;
  readonly samples: readonly Sample[];
}

export interface Table {
  /** Unique within the question; targets name it. */
  readonly id: string;
  readonly title: string;
  /** Of `total`, such as 'CPU µs per request'. */
  readonly unit: string;
  readonly rows: readonly Row[];
  /** 'trials': each row is a thing of its own, and every sample one trial; there is nothing to compare. */
  readonly kind?: 'trials';
  /** One line each: what was negotiated, what a subject could not be asked. */
  readonly remarks: readonly string[];
}

export interface Result {
  readonly question: string;
  readonly takenAt: string;
  readonly commit: string;
  readonly machine: string;
  readonly versions: readonly string[];
  /** Share of all cores that others took in the second before: what makes it noisy. */
  readonly othersBefore: number;
  readonly tookSeconds: number;
  readonly tables: readonly Table[];
}
