import type { Bench } from '../bench.ts';
import type { Tool } from '../machine/tools.ts';
import type { Table } from '../results.ts';

export interface Question {
  readonly name: string;
  readonly title: string;
  /** What is measured and how, in a few sentences for the report. */
  readonly about: string;
  readonly tools: readonly Tool[];
  /** Nothing is pinned. */
  readonly wholeMachine?: true;
  /** `rounds`: instead of the question's own number, for a look in between. */
  run(bench: Bench, rounds: number | undefined): Promise<Table[]>;
}
